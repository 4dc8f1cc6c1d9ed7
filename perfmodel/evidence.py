"""How probable each grid point of the prior is, given the scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from perfmodel.arrays import Floats, Integers
from perfmodel.prior import SIGNALS

NOISE_SHAPE = 1.0
NOISE_RATE = 0.02
"""Inverse gamma prior of the noise variance, in units of the scores' variance."""

NEGLIGIBLE = 0.02
"""Grid points with less than this share of the best one's evidence are dropped."""

WEIGHED = 128
"""Observations the grid is weighed on; with more, that many evenly spaced ones are, and the
``KEPT`` best points are then fitted to all."""

KEPT = 3


@dataclass(frozen=True)
class Point:
    """One grid point with its share of the belief, in standardised units.

    Attributes:
        weight: Posterior probability.
        scales: Prior variance per level in units of the noise variance, ``(levels,)``.
        solver: ``P`` of the dual weights ``P y``, ``(n, n)``; blind to every seed's mean.
        noise_shape: Of the noise variance's inverse gamma posterior.
        noise_rate: Likewise.
    """

    weight: float
    scales: Floats
    solver: Floats
    noise_shape: float
    noise_rate: float

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return self.noise_rate / self.noise_shape


def weigh(shares: Floats, grams: Floats, y: Floats, offsets: Integers) -> tuple[Point, ...]:
    """Return the grid points worth keeping, most probable first; weights sum to 1.

    Args:
        shares: Prior variance per level, up to the signal, ``(s, levels)``.
        grams: Covariance of the observations under unit effects, ``(levels, n, n)``.
        y: Standardised scores, ``(n,)``.
        offsets: Seed group of each observation, ``(n,)``.

    Source: Gelman et al. (2013), section 14.2, restricted likelihood: every seed's mean is
    projected out before, which equals a flat prior on it.
    """
    if len(y) <= WEIGHED:
        return _weigh_all(shares, grams, y, contrasts(offsets))
    some = np.linspace(0, len(y) - 1, WEIGHED).astype(np.int64)
    _, groups = np.unique(offsets[some], return_inverse=True)
    points = _weigh_all(shares, grams[:, some][:, :, some], y[some], contrasts(groups))[:KEPT]
    basis = contrasts(offsets)
    return _normalised([_refit(point, grams, y, basis) for point in points])


def contrasts(offsets: Integers) -> Floats:
    """Orthonormal basis of what is left when every seed's mean is removed, ``(n, n - seeds)``."""
    members = np.asarray(offsets[:, None] == np.arange(offsets.max() + 1), dtype=np.float64)
    full, _ = np.linalg.qr(members, mode="complete")
    return np.asarray(full[:, members.shape[1] :])


def _weigh_all(shares: Floats, grams: Floats, y: Floats, basis: Floats) -> tuple[Point, ...]:
    found = [point for share in shares for point in _along(share, grams, y, basis)]
    best = max(point.weight for point in found)
    kept = [point for point in found if point.weight - best > np.log(NEGLIGIBLE)]
    return _normalised([replace(p, weight=float(np.exp(p.weight - best))) for p in kept])


def _along(share: Floats, grams: Floats, y: Floats, basis: Floats) -> list[Point]:
    """Every signal level of one share, from one eigendecomposition; weights are log evidence."""
    signals = np.array(SIGNALS)
    values, axes = np.linalg.eigh(basis.T @ np.tensordot(share, grams, 1) @ basis)
    axes = basis @ axes
    spread = 1.0 + signals[:, None] * np.maximum(values, 0.0)  # (signals, n - seeds)
    shape = NOISE_SHAPE + 0.5 * len(values)
    rates = NOISE_RATE + 0.5 * ((axes.T @ y) ** 2 / spread).sum(axis=1)
    evidence = -0.5 * np.log(spread).sum(axis=1) - shape * np.log(rates)
    hopeful = np.flatnonzero(evidence - evidence.max() > np.log(NEGLIGIBLE))
    return [
        Point(
            float(evidence[at]),
            signals[at] * share,
            (axes / spread[at]) @ axes.T,
            shape,
            float(rates[at]),
        )
        for at in hopeful
    ]


def _refit(point: Point, grams: Floats, y: Floats, basis: Floats) -> Point:
    """Fit one point to all observations."""
    inner = basis.T @ np.tensordot(point.scales, grams, 1) @ basis
    inner[np.diag_indices_from(inner)] += 1.0
    solver = basis @ linalg.solve(inner, basis.T, assume_a="pos")
    shape = NOISE_SHAPE + 0.5 * len(inner)
    rate = NOISE_RATE + 0.5 * float(y @ solver @ y)
    return Point(point.weight, point.scales, solver, shape, rate)


def _normalised(points: Sequence[Point]) -> tuple[Point, ...]:
    total = sum(point.weight for point in points)
    ordered = sorted(points, key=lambda point: -point.weight)
    return tuple(replace(point, weight=point.weight / total) for point in ordered)
