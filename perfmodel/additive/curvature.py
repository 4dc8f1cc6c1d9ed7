"""Bend: the interaction residual, one degree of freedom for all pairs of layers.

If layers substitute or need each other, the score is a curved function of the sum of their
utilities. The square of that sum is every pairwise interaction at once, weighed by what the two
layers are worth; its one coefficient is learned with the others. As long as the curve still rises,
the best vector of the sum is the best vector of the score, so the allocation stays exact.

Source: Tukey (1949), "One degree of freedom for non-additivity".
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats

LEAST = 12
"""Scores below which no curvature is looked for."""

VARIANCE = 0.001
"""Prior variance of the coefficient, in units of the scores' variance: small, as a bend that is not
there costs regret, and one that is there leaves the best vector where it is."""

ROUNDING = 1e-9
"""Spread of the sums, relative to their size, below which they are equal."""


@dataclass(frozen=True)
class Bend:
    """``b(r) = (((f(r) - centre) / spread)^2 - 1) / 2`` of the summed utilities ``f``.

    Attributes:
        coefficients: Of the summed utilities, ``(p,)``.
        centre: Their mean over the trials.
        spread: Their standard deviation over the trials; infinite for no bend.
    """

    coefficients: Floats
    centre: float
    spread: float

    @classmethod
    def none(cls, size: int) -> "Bend":
        return cls(np.zeros(size), 0.0, np.inf)

    @classmethod
    def of(cls, features: Floats, coefficients: Floats) -> "Bend":
        """Centre and scale on the trials' features, ``(n, p)``."""
        sums = features @ coefficients
        spread = float(sums.std())
        if len(sums) < LEAST or spread <= ROUNDING * float(np.abs(sums).max()):
            return cls.none(len(coefficients))
        return cls(coefficients, float(sums.mean()), spread)

    def column(self, features: Floats) -> Floats:
        """Map features ``(n, p)`` to ``(n, 1)``."""
        if not np.isfinite(self.spread):
            return np.zeros((len(features), 1))
        sums = (features @ self.coefficients - self.centre) / self.spread
        return np.asarray(0.5 * (sums[:, None] ** 2 - 1.0))
