"""Rates: whether the gain hangs on the recipe's learning rate, and whether another rate buys it.

The winner and uniform ranks run at a few multiples of the recipe's rate, on one seed of the
verification. One pair has no interval of its own: its noise is taken to be that of the pairs at the
recipe's rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from rankspace.verdict import RatePoint, Rates

SURE = 0.95
"""One-sided coverage of what one pair says."""


def rates_found(points: Sequence[RatePoint], differences: Sequence[float]) -> Rates:
    """Say where the gain shows.

    Args:
        points: Scores at each rate, lowest first, the recipe's own, 1, among them.
        differences: Of the winner to uniform at the recipe's rate, seed by seed, at least two.
    """
    count = len(differences)
    mean = sum(differences) / count
    spread = (sum((one - mean) ** 2 for one in differences) / (count - 1)) ** 0.5
    reach = float(special.stdtrit(count - 1, SURE)) * spread
    return _Found(points, reach).rates()


@dataclass(frozen=True)
class _Found:
    """The points, and what one pair may be off by."""

    points: Sequence[RatePoint]
    reach: float

    def rates(self) -> Rates:
        said = [self._holds(), *self._bought(), self._recommended()]
        return Rates(tuple(self.points), " ".join(said), self._best().rate)

    def _holds(self) -> str:
        gains = [(one.rate, one.gain) for one in self.points]
        shown = [rate for rate, gain in gains if gain is not None and gain > self.reach]
        if len(shown) == len(self.points):
            return "The gain holds at every rate."
        if shown == [1.0]:
            return "The gain holds only at the recipe's rate."
        if not shown:
            return "One seed shows no gain at any rate."
        named = ", ".join(f"{rate:g}" for rate in shown)
        return f"The gain shows at {named} times the recipe's rate, and not at the others."

    def _bought(self) -> list[str]:
        """Whether uniform ranks at a larger rate do as well as the winner at the recipe's."""
        winner = self._at(1.0).winner
        if winner is None:
            return []
        larger = [(one.rate, one.uniform) for one in self.points if one.rate > 1.0]
        least = winner - self.reach
        equal = [rate for rate, score in larger if score is not None and score >= least]
        if not equal:
            return []
        return [f"A larger rate gives uniform ranks as much: {min(equal):g} times the recipe's."]

    def _recommended(self) -> str:
        best = self._best()
        if best.rate == 1.0:
            return "No rate is shown to be better than the recipe's."
        return f"The winner does best at {best.rate:g} times the recipe's rate: use that."

    def _best(self) -> RatePoint:
        """The rate at which the winner scores best, if that is more than one pair may be off by."""
        own = self._at(1.0)
        scored = [one for one in self.points if one.winner is not None]
        best = max(scored, key=_score, default=own)
        if own.winner is None or best.winner is None:
            return best
        return best if best.winner > own.winner + self.reach else own

    def _at(self, rate: float) -> RatePoint:
        return next(one for one in self.points if one.rate == rate)


def _score(point: RatePoint) -> float:
    assert point.winner is not None
    return point.winner
