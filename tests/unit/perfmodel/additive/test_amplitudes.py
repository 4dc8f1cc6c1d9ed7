"""The coefficients' prior against numerical integration."""

import numpy as np
import pytest

from perfmodel.additive.amplitudes import SHARES, SIGNS, WIDTHS, mean_square, moments, tilt
from perfmodel.arrays import Floats

GRID = np.linspace(-40.0, 40.0, 400_000)


def density(scale: float) -> Floats:
    """Mixture of half-normals on the grid."""
    total = np.zeros_like(GRID)
    for width, sign, share in zip(scale * WIDTHS, SIGNS, SHARES, strict=True):
        half = 2.0 * np.exp(-0.5 * (GRID / width) ** 2) / (width * (2.0 * np.pi) ** 0.5)
        total += share * half * (sign * GRID > 0.0)
    return total


def expected(weights: Floats) -> tuple[float, float]:
    weights = weights / weights.sum()
    mean = float(weights @ GRID)
    return mean, float(weights @ GRID**2) - mean**2


def test_prior_moments() -> None:
    mean, variance = moments(np.array([1.3]), SHARES)
    assert (mean[0], variance[0]) == pytest.approx(expected(density(1.3)), rel=1e-4)
    assert mean_square(SHARES) * 1.3**2 == pytest.approx(variance[0] + mean[0] ** 2)


@pytest.mark.parametrize("message", [(0.5, 0.3), (-2.0, 0.5), (8.0, 4.0), (0.0, 1e4), (-9.0, 0.2)])
def test_tilted_moments(message: tuple[float, float]) -> None:
    mean, variance = message
    found = tilt(np.array([mean]), np.array([variance]), np.array([1.3]), SHARES)
    likelihood = np.exp(-0.5 * (GRID - mean) ** 2 / variance)
    wanted = expected(density(1.3) * likelihood)
    assert (found.mean[0], found.variance[0]) == pytest.approx(wanted, rel=2e-3, abs=1e-6)
    assert found.shares.sum() == pytest.approx(1.0)
