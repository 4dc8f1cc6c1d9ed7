"""Noise: what stands between the truth and the score of a trial, the same for every arm."""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from perfmodel.arrays import Floats

DRAWN = 1024
"""Trials whose noise is drawn at once; a study of more draws the next block of the stream."""


class TrialNoise(Protocol):
    """A function of the truth and of the trial's index alone, so that arms are paired."""

    @property
    def deviation(self) -> float:
        """Scale of one trial's noise, in units of the score."""

    def observe(self, truth: float, trial: int) -> float | None:
        """Score of the trial with index ``trial``; None when it diverged."""


@dataclass(frozen=True)
class Gaussian:
    """Additive, of standard deviation ``deviation``."""

    seed: int
    deviation: float

    def observe(self, truth: float, trial: int) -> float:
        return truth + self.deviation * _normal(self.seed, trial)


@dataclass(frozen=True)
class Multiplicative:
    """``truth * (1 + deviation * N(0, 1))``; the truth is near 1, so ``deviation`` is its scale."""

    seed: int
    deviation: float

    def observe(self, truth: float, trial: int) -> float:
        return truth * (1.0 + self.deviation * _normal(self.seed, trial))


@dataclass(frozen=True)
class HeavyTailed:
    """Student's t of scale ``deviation``, with trials that diverge.

    Attributes:
        seed: Of the problem.
        deviation: Scale of the t distribution.
        freedom: Its degrees of freedom; at 2 the variance is infinite.
        failing: Share of trials without any score.
        exploding: Share of trials with a finite score 20 to 200 deviations too low.
    """

    seed: int
    deviation: float
    freedom: float
    failing: float = 0.02
    exploding: float = 0.02

    def observe(self, truth: float, trial: int) -> float | None:
        rng = np.random.default_rng([self.seed, trial])
        noise, fate, size = rng.standard_t(self.freedom), rng.random(), rng.uniform(20.0, 200.0)
        if fate < self.failing:
            return None
        if fate < self.failing + self.exploding:
            noise = -size
        return truth + self.deviation * float(noise)


def _normal(seed: int, trial: int) -> float:
    return float(_normals(seed, DRAWN * (trial // DRAWN + 1))[trial])


@cache
def _normals(seed: int, count: int) -> Floats:
    """The first ``count`` draws of the stream of ``seed``, as one by one."""
    return np.random.default_rng(seed).standard_normal(count)
