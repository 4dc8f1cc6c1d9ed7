"""Rates: whether the gain hangs on the recipe's learning rate, and whether another rate buys it.

The winner and uniform ranks run at a few multiples of the recipe's rate, on one seed of the
verification. One pair has no interval of its own: its noise is taken to be that of the pairs at the
recipe's rate. Something is claimed only where it exceeds what that noise explains; what does not is
not known, which is another thing than not there. All rates together claim falsely of one kind, at
a gain that is the same everywhere, with at most 5 % (Bonferroni).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import special

from rankspace.cached import cached_property
from rankspace.verdict import RatePoint, Rates

SURE = 0.95
"""One-sided coverage of what is said of all other rates together."""

AS_MUCH = 0.1
"""Share of the gain that uniform ranks at another rate may lack and still have "as much"."""


def rates_found(points: Sequence[RatePoint], differences: Sequence[float]) -> Rates:
    """Say where the gain shows.

    Args:
        points: Scores at each rate, lowest first, the recipe's own, 1, among them. Those where a
            trial failed are named, and nothing else is said of them.
        differences: Of the winner to uniform at the recipe's rate, seed by seed, at least two.
    """
    count = len(differences)
    gain = sum(differences) / count
    spread = (sum((one - gain) ** 2 for one in differences) / (count - 1)) ** 0.5
    return _Found(points, gain, spread, count).rates()


@dataclass(frozen=True)
class _Found:
    """The points; the mean gain at the recipe's rate, its spread by seed, and how many seeds."""

    points: Sequence[RatePoint]
    gain: float
    spread: float
    count: int

    def rates(self) -> Rates:
        best = self._best
        if not self._others:
            return Rates(tuple(self.points), " ".join(self._unscored()), 1.0)
        said = [self._holds(), *self._bought(), *self._recommended(best), *self._unscored()]
        return Rates(tuple(self.points), " ".join(said), best)

    @cached_property
    def _others(self) -> list[tuple[float, float]]:
        """Rates beside the recipe's where both scored, and the gain there."""
        gains = ((one.rate, one.gain) for one in self.points if one.rate != 1.0)
        return [(rate, gain) for rate, gain in gains if gain is not None]

    @cached_property
    def reach(self) -> float:
        """What the difference of two trials on one seed may be off by, at every rate at once."""
        error = (1.0 - SURE) / max(len(self.points) - 1, 1)
        return float(special.stdtrit(self.count - 1, 1.0 - error)) * self.spread

    def _holds(self) -> str:
        shown = [rate for rate, gain in self._others if gain > self.reach]
        apart = self.reach * (1.0 + 1.0 / self.count) ** 0.5
        smaller = [
            rate for rate, gain in self._others if rate not in shown and self.gain - gain > apart
        ]
        is_own = self.gain > self.reach / self.count**0.5
        if is_own and len(shown) == len(self._others):
            return "The gain holds at every rate."
        if is_own and len(smaller) == len(self._others):
            return "The gain shows only at the recipe's rate, and is smaller at the others."
        open_ = [rate for rate, _ in self._others if rate not in (*shown, *smaller)]
        return " ".join(_told(shown, smaller, open_))

    def _bought(self) -> list[str]:
        """Whether uniform ranks at a larger rate do as well as the winner at the recipe's."""
        winner = self._own.winner
        larger = [one for one in self.points if one.rate > 1.0 and one.uniform is not None]
        if winner is None or not larger:
            return []
        leads = {one.rate: one.uniform - winner for one in larger if one.uniform is not None}
        lacking = -AS_MUCH * max(self.gain, 0.0)
        equal = [rate for rate, lead in leads.items() if lead - self.reach > lacking]
        if equal:
            return [f"A larger rate gives uniform ranks as much: {equal[0]:g} times the recipe's."]
        if all(lead + self.reach < 0.0 for lead in leads.values()):
            return ["No larger rate gives uniform ranks as much."]
        return ["Whether a larger rate gives uniform ranks as much cannot be told from one seed."]

    def _recommended(self, best: float) -> list[str]:
        if self._own.winner is None:
            return []
        if best == 1.0:
            return ["No rate is shown to be better than the recipe's."]
        return [f"The winner does best at {best:g} times the recipe's rate: use that."]

    @property
    def _best(self) -> float:
        """The rate at which the winner scores best, if that is more than one pair may be off by."""
        own = self._own.winner
        if own is None or not self._others:
            return 1.0
        scores = [(one.winner, one.rate) for one in self.points if one.winner is not None]
        score, rate = max(scores)
        return rate if score > own + self.reach else 1.0

    def _unscored(self) -> Iterator[str]:
        failed = [one.rate for one in self.points if one.gain is None]
        if failed:
            yield f"A trial failed at {_named(failed)}: nothing is said of that."

    @property
    def _own(self) -> RatePoint:
        return next(one for one in self.points if one.rate == 1.0)


def _told(
    shown: Sequence[float], smaller: Sequence[float], open_: Sequence[float]
) -> Iterator[str]:
    if shown:
        yield f"The gain shows at {_named(shown)}."
    if smaller:
        yield f"The gain is smaller at {_named(smaller)}."
    if open_:
        yield f"Whether there is a gain at {_named(open_)} cannot be told from one seed."


def _named(rates: Sequence[float]) -> str:
    return f"{', '.join(f'{rate:g}' for rate in rates)} times the recipe's rate"
