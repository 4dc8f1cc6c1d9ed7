"""Standard: scores on a scale the prior understands, robust against diverged trials."""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats

OUTLIER = 5.0
"""Scores further below the median than this many robust standard deviations are pulled in to
there: a diverged fine-tune says "bad", not how bad."""


@dataclass(frozen=True)
class Standard:
    """A map from scores to numbers of mean about 0 and standard deviation 1.

    Attributes:
        centre: Median score.
        scale: Standard deviation of the pulled-in scores; 1 if they are all alike.
        floor: Where outliers are pulled in to; minus infinity if the bulk has no spread.
    """

    centre: float
    scale: float
    floor: float

    @classmethod
    def of(cls, scores: Floats) -> "Standard":
        low, centre, high = np.quantile(scores, [0.25, 0.5, 0.75])
        spread = float(high - low) / 1.349  # the quartiles' distance in standard deviations
        floor = float(centre) - OUTLIER * spread if spread > 0.0 else -np.inf
        return cls(float(centre), float(np.std(np.maximum(scores, floor))) or 1.0, floor)

    def apply(self, scores: Floats) -> Floats:
        return np.asarray((np.maximum(scores, self.floor) - self.centre) / self.scale)
