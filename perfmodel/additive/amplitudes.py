"""The prior of one coefficient: mostly positive, heavy-tailed, and its moments under a likelihood.

A coefficient is ``scale`` times a draw from a mixture of half-normal distributions: many layers
hardly matter, a few matter a lot, and a rank rarely hurts. Half-normals keep every moment in
closed form.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from perfmodel.arrays import Floats

WIDTHS = np.array([0.02, 0.15, 1.0, 6.0, 0.5])
"""Standard deviations of the half-normals before truncation, in units of the scale."""

SIGNS = np.array([1.0, 1.0, 1.0, 1.0, -1.0])
"""Side of zero each of them lives on; the last one is a rank that hurts."""

SHARES = np.array([0.24, 0.30, 0.29, 0.14, 0.03])
"""How much of the coefficients each of them has, before the scores say otherwise."""

LEAST_VARIANCE = 1e-12
"""Smallest variance of a coefficient, in units of its squared scale."""


@dataclass(frozen=True)
class Tilted:
    """Moments of coefficients under prior times a Gaussian message.

    Attributes:
        mean: ``(p,)``.
        variance: ``(p,)``.
        shares: How probably each coefficient comes from each half-normal, ``(p, components)``.
    """

    mean: Floats
    variance: Floats
    shares: Floats


def mean_square(shares: Floats) -> float:
    """Expected square of a coefficient of scale 1 under mixture ``shares``, ``(components,)``."""
    return float(shares @ WIDTHS**2)


def moments(scale: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Prior mean and variance of coefficients of ``scale``, ``(p,)`` each."""
    mean = float(shares @ (SIGNS * WIDTHS)) * (2.0 / np.pi) ** 0.5
    return scale * mean, scale**2 * (mean_square(shares) - mean**2)


def tilt(mean: Floats, variance: Floats, scale: Floats, shares: Floats) -> Tilted:
    """Multiply the prior by Gaussian messages and match moments.

    Args:
        mean: Of the messages, ``(p,)``.
        variance: Of the messages, positive, ``(p,)``.
        scale: Of the coefficients, ``(p,)``.
        shares: Of the mixture, ``(components,)``.

    Source: moments of a truncated Gaussian, Rasmussen & Williams (2006), section 3.9.
    """
    width = (scale[:, None] * WIDTHS) ** 2
    total = variance[:, None] + width
    both = variance[:, None] * width / total
    centre = SIGNS * (mean[:, None] * width / total)
    spread = np.sqrt(both)
    reach = centre / spread
    inside = log_ndtr(reach)
    evidence = np.log(shares) - 0.5 * (np.log(total) + mean[:, None] ** 2 / total) + inside
    weight = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    first = centre + spread * np.exp(-0.5 * reach**2 - inside) / (2.0 * np.pi) ** 0.5
    second = both + centre * first
    matched = (weight * SIGNS * first).sum(axis=1)
    square = (weight * second).sum(axis=1)
    return Tilted(matched, np.maximum(square - matched**2, LEAST_VARIANCE * scale**2), weight)
