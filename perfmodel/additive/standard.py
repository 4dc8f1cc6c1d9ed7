"""Standard: where the scores lie, robust against diverged trials."""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats

APART = 10.0
"""Scores below a gap this many times as wide as the spread of all scores above it are pulled in to
its upper edge: a diverged fine-tune says "bad", not how bad. Nothing less is: while a search
closes in, its first trials lie many deviations below the later ones, and say most."""

LEAST_SCORES_FOR_OUTLIERS = 8
"""Scores below which nobody can say what is apart."""


ALIKE = 1e-6
"""Spread of scores, relative to their size, below which they are all alike: it is rounding."""


@dataclass(frozen=True)
class Standard:
    """Location of the scores.

    Attributes:
        centre: Median score.
        floor: Where outliers are pulled in to; minus infinity if there are none.
        grain: Distance from the centre that counts as none: 0 unless all scores are alike.
    """

    centre: float
    floor: float
    grain: float = 0.0

    @classmethod
    def of(cls, scores: Floats) -> "Standard":
        centre, floor = float(np.median(scores)), _floor(scores)
        grain = ALIKE * abs(centre)
        alike = float(np.ptp(np.maximum(scores, floor))) <= grain
        return cls(centre, floor, grain if alike else 0.0)

    def above(self, scores: Floats) -> Floats:
        """``scores`` less the centre, outliers pulled in, ``(n,)``."""
        found = np.maximum(scores, self.floor) - self.centre
        return np.where(np.abs(found) <= self.grain, 0.0, found)

    def standardised(self, scores: Floats) -> tuple[Floats, float]:
        """``above`` in units of the deviation, ``(n,)``, and that: 1 if all scores are alike."""
        deviation = float(np.maximum(scores, self.floor).std())
        unit = 1.0 if self.grain else deviation or 1.0
        return self.above(scores) / unit, unit


def _floor(scores: Floats) -> float:
    """Upper edge of the highest such gap below the median; minus infinity without one."""
    if len(scores) < LEAST_SCORES_FOR_OUTLIERS:
        return -np.inf
    ordered = np.sort(scores)
    above = ordered[1 : 1 + len(ordered) // 2]
    left = ordered[-1] - above
    gaps = np.diff(ordered)[: len(above)]
    wide = np.flatnonzero((gaps > APART * left) & (left > 0.0))
    return float(above[wide[-1]]) if len(wide) else -np.inf
