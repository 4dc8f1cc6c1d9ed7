"""Racing: whether a running trial may still win, from its interim training losses.

Trials of a search share seed and data order, so their losses at the same step come from the same
batch and their difference is free of the batch's own difficulty. The finished trials' lead over
the running one, averaged over the later half of the steps so far, predicts their final scores by
a straight line; the line at lead 0 predicts the running trial's, with Student's t interval.

A trial is stopped at a look when the probability of ending above the best score so far is below
its share of the risk. Whoever wins in the end must have passed the best score of its time, so by
Boole's inequality over the looks of all trials the winner is stopped with at most the risk of
the whole search, as far as the line's residuals are alike and normal. ``python -m bench.racing``
measures how far.

Source: Swersky, Snoek & Adams (2014) stop by a predicted final value; the paired differences and
the sharing of the risk are ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from perfmodel.additive.design import design_size
from perfmodel.arrays import Flags, Floats, Integers
from rankspace.lease import Action

LOOKS = (0.3, 0.5, 0.7)
"""Shares of a trial's steps after which it is looked at. Earlier, curves have hardly parted; later,
there is little left to save."""

LEAST_FINISHED = 10
"""Finished trials before anything is said."""

COMMON = 3
"""Steps in the window that two curves must share to be compared, and at least half of them."""

OUTLIER = 5.0
"""Robust standard deviations below the median beyond which a finished trial is left out."""


CAUTION = 2.0
"""A trial is not stopped unless it lags by so many times the most that any finished trial has made
up. It costs honest curves next to nothing, and halves the harm of curves that start badly and end
best; see ``python -m bench.racing``."""

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Curve:
    """Interim losses of one trial.

    Attributes:
        steps: Strictly increasing, ``(n,)``.
        losses: Training losses there, finite, ``(n,)``, in nats.
    """

    steps: Integers
    losses: Floats

    @classmethod
    def of(cls, pairs: Iterable[Sequence[float]]) -> "Curve":
        """Order ``(step, loss)`` pairs; a step given twice keeps its last loss, NaN is left out."""
        known = {int(step): float(loss) for step, loss in pairs if np.isfinite(loss)}
        steps = sorted(known)
        losses = [known[step] for step in steps]
        return cls(np.array(steps, dtype=np.int64), np.array(losses, dtype=np.float64))

    @property
    def last(self) -> int:
        """The last step; 0 without any."""
        return int(self.steps[-1]) if len(self.steps) else 0

    def between(self, after: int, until: int) -> "Curve":
        """The part with ``after < step <= until``."""
        first, end = np.searchsorted(self.steps, [after, until], side="right")
        return Curve(self.steps[first:end], self.losses[first:end])

    def lead_over(self, other: "Curve") -> float | None:
        """How much lower this curve is at the steps of ``other``, on average.

        None if it has too few of them.
        """
        if not len(self.steps):
            return None
        at = np.minimum(np.searchsorted(self.steps, other.steps), len(self.steps) - 1)
        common = self.steps[at] == other.steps
        count = int(np.count_nonzero(common))
        if count < COMMON or 2 * count < len(other.steps):
            return None
        return float((other.losses - self.losses[at])[common].sum()) / count


@dataclass(frozen=True, eq=False)
class Finished:
    """A trial that ran all its steps: its curve and its final score."""

    curve: Curve
    score: float


@dataclass(frozen=True)
class Advice:
    """What to tell a running trial.

    Attributes:
        action: ``continue`` or ``stop``.
        probability: That it ends above the best score so far; None when nothing can be said.
        reason: One sentence for a person.
    """

    action: Action
    probability: float | None
    reason: str


def advise(curve: Curve, finished: Sequence[Finished], *, risk: float) -> Advice:
    """Judge the running trial by all of ``curve``; cut it to the look first.

    Args:
        curve: Of the running trial.
        finished: Trials of the same study, seed and number of steps.
        risk: Probability of a wrong stop at this look, see ``risk_per_look``.
    """
    window = curve.between(curve.last // 2, curve.last)
    pairs = [
        (lead, one.score)
        for one in finished
        if np.isfinite(one.score) and (lead := one.curve.lead_over(window)) is not None
    ]
    if len(pairs) < LEAST_FINISHED:
        known = f"only {len(pairs)} finished trials can be compared with"
        return Advice(Action.CONTINUE, None, f"{known}, of {LEAST_FINISHED} needed")
    line = Line.through(*np.array(pairs).T)
    if line is None:
        return Advice(Action.CONTINUE, None, "the interim losses do not predict the final scores")
    hopeless = line.chance < risk and line.missing > CAUTION * line.surprise
    words = f"ends above the best score {line.best:.4f} with probability {line.chance:.2g}"
    return Advice(Action.STOP if hopeless else Action.CONTINUE, line.chance, words)


@dataclass(frozen=True)
class Line:
    """What the finished trials' final scores say of a trial, given how far they lead it.

    Attributes:
        best: Best of the final scores.
        missing: How far the trial's predicted score lies below it.
        chance: Probability that the trial ends above it.
        surprise: The most a finished trial ended above its own prediction.
    """

    best: float
    missing: float
    chance: float
    surprise: float

    @classmethod
    def through(cls, leads: Floats, scores: Floats) -> "Line | None":
        """Fit by least squares; None when the scores do not rise with the leads.

        The chance is never higher for a trial that is further behind all others alike: beyond the
        point where the slope's own uncertainty would make it so, the trial is judged as if it
        were there.

        Args:
            leads: Interim lead of each finished trial over the running one, ``(n,)``, in nats.
            scores: Their final scores, ``(n,)``.
        """
        usual = _usual(leads) & _usual(scores)
        x, y = (leads[usual], scores[usual]) if usual.sum() >= LEAST_FINISHED else (leads, scores)
        centred = x - x.mean()
        spread = float(centred @ centred)
        slope = float(centred @ y) / spread if spread > 0.0 else 0.0
        if slope <= 0.0:
            return None
        residuals = y - y.mean() - slope * centred
        best, behind, lacks = float(scores.max()), float(x.mean()), 1.0 + 1.0 / len(x)
        short = best - float(y.mean())
        if short > 0.0:
            behind = min(behind, slope * spread * lacks / short)
        missing, freedom = short + slope * behind, len(x) - 2
        error = np.sqrt(residuals @ residuals / freedom * (lacks + behind**2 / spread))
        chance = float(special.stdtr(freedom, -missing / max(float(error), TINY)))
        return cls(best, missing, chance, float(residuals.max()))


def _usual(values: Floats) -> Flags:
    """Whether each value is not far below the others, ``(n,)``.

    A diverged trial says "bad", not how bad, and must not bend the line.
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    spread = float(high - low) / 1.349  # the quartiles' distance in standard deviations
    return np.asarray(values >= middle - OUTLIER * spread)


def look_at(step: int, steps: int) -> int | None:
    """The last look a trial of ``steps`` steps has passed at ``step``, as the step it is cut to."""
    passed = [at for share in LOOKS if (at := int(share * steps)) <= step]
    return passed[-1] if passed else None


def spared(trials: int, layers: int) -> int:
    """How many of the first search trials are never stopped: the design, and ``LEAST_FINISHED``."""
    return max(LEAST_FINISHED, design_size(trials, layers))


def risk_per_look(risk: float, trials: int) -> float:
    """Share the search's risk evenly among the looks of its trials."""
    return risk / (len(LOOKS) * max(1, trials))
