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


@dataclass(frozen=True)
class Standard:
    """Location of the scores.

    Attributes:
        centre: Median score.
        floor: Where outliers are pulled in to; minus infinity if there are none.
    """

    centre: float
    floor: float

    @classmethod
    def of(cls, scores: Floats) -> "Standard":
        return cls(float(np.median(scores)), _floor(scores))


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
