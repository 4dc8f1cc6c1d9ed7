"""Interim losses of one claim: what can be, one pair a step, and no more than are of use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rankspace.observation import is_loss

Pair = tuple[float, float]

MOST = 1_000
"""Pairs kept of a trial; a worker that knows its steps sends about fifty."""

MOST_STEPS = 10**9
"""More than any whole epochs have."""


@dataclass(frozen=True, slots=True)
class Interim:
    """Losses by step, in order of the steps.

    Attributes:
        pairs: Step and loss.
        implausible: How many of those given were left out because they cannot be.
    """

    pairs: tuple[Pair, ...]
    implausible: int = 0


def merged(
    known: Iterable[Sequence[float]], given: Iterable[Sequence[float]], steps: int
) -> Interim:
    """Add what is ``given``; a step sent again counts once, the last time.

    Whoever keeps a lease alive is not refused for what it sends beside: that is left out.

    Args:
        known: What was kept before.
        given: Of one heartbeat.
        steps: Those assigned; 0 for whole epochs, whose steps only the worker can count.
    """
    sent = [(step, loss) for step, loss in given]
    likely = [pair for pair in sent if _is_likely(*pair, steps)]
    by_step = {step: (step, loss) for step, loss in (*known, *likely)}
    return Interim(_thinned([by_step[step] for step in sorted(by_step)]), len(sent) - len(likely))


def _is_likely(step: float, loss: float, steps: int) -> bool:
    return step == int(step) and 0 <= step <= (steps or MOST_STEPS) and is_loss(loss)


def _thinned(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Leave out steps between: the same ones of every trial, so that curves can be compared."""
    kept, stride = list(pairs), 1
    while len(kept) > MOST:
        stride *= 2
        fewer = [pair for pair in kept if pair[0] % stride == 0 or pair is pairs[-1]]
        if len(fewer) < MOST // 4:  # steps of no common grid: every other one
            fewer = [*kept[:-1:2], kept[-1]]
        kept = fewer
    return tuple(kept)
