"""Noise: what one trial's score scatters, learned from residuals and repeats, with an interval."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from perfmodel.arrays import Flags, Floats, Integers

SHAPE = 1.0
RATE = 0.02
"""Inverse gamma prior of the noise variance; the rate in units of the scores' variance."""

TAILS = 4.0
"""Degrees of freedom of the noise: trials far off hardly count. A tenth of the trials may diverge;
a trial that is in line with the others tells nearly as much as under a Gaussian."""

INFORMATION = (TAILS + 1.0) / (TAILS + 3.0)
"""Fisher information of a trial under Student's t, where a Gaussian of the same scale has 1: the
trials together tell that much less than their weights claim (Lange, Little & Taylor 1989)."""

SPREAD = 1.448
"""Variance of Gaussian noise over the square of the scale that Student's t of ``TAILS`` degrees
finds in it: the noise of trials that did not diverge is what people are told."""

ALONE = 2.0
"""Trials' worth of "as noisy as the others" for those alone on their seed."""

FIDELITY = 4.0
"""Trials' worth of "as noisy as, and as telling as, the full trial" for each lower fidelity."""

SLOPE_DOUBT = 0.5
"""Prior standard deviation of a lower fidelity's slope around 1."""


def least_variance(scale: float, count: int) -> float:
    """What the prior alone leaves of the variance after ``count`` trials without residuals."""
    return 2.0 * RATE * scale**2 / (2.0 * SHAPE + count)


@dataclass(frozen=True, slots=True)
class NoiseEstimate:
    """What is known of the standard deviation of one trial's noise, in score units.

    Attributes:
        sd: Best guess.
        low: Lower end of the 90 % interval.
        high: Upper end.
        freedom: Degrees of freedom it rests on: trials less the effects fitted to them.
    """

    sd: float
    low: float
    high: float
    freedom: float


@dataclass(frozen=True)
class NoiseModel:
    """Noise of every trial.

    Attributes:
        variance: Square of the scale of a full trial's noise, which is Student's t.
        freedom: Trials less the effective number of coefficients, at least 1.
        weights: Trust in each trial, about 1, ``(n,)``.
        factors: Variance at each fidelity divided by ``variance``, highest fidelity first.
        slopes: How much of the effects each fidelity shows, likewise.
        alone: Variance of a trial alone on its seed divided by that of the others, at least 1.
    """

    variance: float
    freedom: float
    weights: Floats
    factors: Floats
    slopes: Floats
    alone: float = 1.0

    @classmethod
    def first(cls, scale: float, count: int, fidelities: int) -> "NoiseModel":
        ones = np.ones(fidelities)
        return cls(0.2 * scale**2, 1.0, np.ones(count), ones, ones)

    def loudness(self, levels: Integers, alone: Flags) -> Floats:
        """Variance of trials over that of a full one on a known seed, ``(n,)``.

        Args:
            levels: Index of each trial's fidelity, ``(n,)``.
            alone: Which of them are alone on their seed, ``(n,)``.
        """
        return np.asarray(self.factors[levels] * np.where(alone, self.alone, 1.0))

    def deviations(self, levels: Integers, alone: Flags) -> Floats:
        """Standard deviation of each trial, ``(n,)``, in the trust it has."""
        return np.asarray(np.sqrt(self.variance * self.loudness(levels, alone) / self.weights))

    def updated(
        self,
        squares: Floats,
        levels: Integers,
        alone: Flags,
        *,
        scale: float,
        effects: float,
        slopes: Floats,
    ) -> "NoiseModel":
        """One step of expectation maximisation under Student's t.

        Args:
            squares: Expected squared residuals, ``(n,)``.
            levels: Index of each trial's fidelity, ``(n,)``.
            alone: Which of them are alone on their seed, ``(n,)``.
            scale: Standard deviation of the scores.
            effects: Effective number of coefficients.
            slopes: Of the fidelities.

        Source: Liu & Rubin (1995), ML estimation of the t distribution.
        """
        relative = squares / self.loudness(levels, alone)
        weights = (TAILS + 1.0) / (TAILS + relative / self.variance)
        weighted = float(weights @ relative)
        prior = least_variance(scale, len(squares))
        variance = prior + weighted / (2.0 * SHAPE + len(squares))
        surprise = weights * squares / variance
        lone = surprise[alone] / self.factors[levels[alone]]
        louder = max(1.0, (ALONE + float(lone.sum())) / (ALONE + len(lone)))
        count = np.bincount(levels, minlength=len(self.factors))
        told = surprise / np.where(alone, louder, 1.0)
        loud = np.bincount(levels, weights=told, minlength=len(count))
        factors = (FIDELITY + loud) / (FIDELITY + count)
        freedom = max(1.0, len(squares) - effects)
        return NoiseModel(variance, freedom, weights, factors / factors[0], slopes, louder)

    @property
    def estimate(self) -> NoiseEstimate:
        """Standard deviation with its interval, from the inverse chi-square with ``freedom``."""
        low, high = special.chdtri(self.freedom, np.array([0.05, 0.95]))
        variance = SPREAD * self.variance
        spread = variance * self.freedom
        return NoiseEstimate(
            float(np.sqrt(variance)),
            float(np.sqrt(spread / low)),
            float(np.sqrt(spread / high)),
            self.freedom,
        )
