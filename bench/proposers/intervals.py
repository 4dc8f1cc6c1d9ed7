"""Intervals: a mean over problems and how well it is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Mean:
    """A mean with half the width of its 95 % interval (Student's t over problems)."""

    value: float
    margin: float
    count: int

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)

    @property
    def excludes_zero(self) -> bool:
        return abs(self.value) > self.margin


def mean_of(values: Sequence[float]) -> Mean:
    """Mean of ``values``; the margin of fewer than two is infinite."""
    count = len(values)
    if count < 2:
        return Mean(float(np.mean(values)) if count else float("nan"), float("inf"), count)
    error = float(np.std(values, ddof=1)) / count**0.5
    return Mean(float(np.mean(values)), float(stats.t.ppf(0.975, count - 1)) * error, count)
