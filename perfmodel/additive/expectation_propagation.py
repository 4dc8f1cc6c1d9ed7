"""Expectation propagation: the Gaussian closest to the posterior of mostly positive coefficients.

Each coefficient's prior is replaced by a Gaussian site, such that the site under the scores'
message has the mean and variance that the true prior has under it.

Source: Minka (2001); parallel and damped as in Gelman et al. (2020), "Expectation propagation as a
way of life".
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.additive.amplitudes import Tilted, moments, tilt
from perfmodel.additive.gaussian import Gaussian
from perfmodel.arrays import Floats

DAMPING = 0.7
ROUNDS = 6


@dataclass(frozen=True)
class Sites:
    """Gaussian stand-ins of the coefficients' priors; ``mean`` and ``variance`` are ``(p,)``."""

    mean: Floats
    variance: Floats

    @classmethod
    def first(cls, scale: Floats, shares: Floats) -> "Sites":
        return cls(*moments(scale, shares))


def propagate(
    sites: Sites, offsets: Floats, rows: Floats, targets: Floats, scale: Floats, shares: Floats
) -> tuple[Sites, Gaussian, Tilted]:
    """Refine ``sites`` on whitened measurements.

    Args:
        sites: Where to begin, ``(p,)``.
        offsets: Prior variances of further coordinates whose prior is Gaussian of mean 0, ``(g,)``.
        rows: ``(n, p + g)``.
        targets: ``(n,)``.
        scale: Of the coefficients, ``(p,)``.
        shares: Of their mixture.

    Returns:
        The sites, the Gaussian over all ``p + g`` coordinates, and the coefficients' moments.
    """
    for _ in range(ROUNDS):
        posterior = _with(sites, offsets, rows, targets)
        sites, tilted = _refined(sites, posterior, scale, shares)
    return sites, _with(sites, offsets, rows, targets), tilted


def _with(sites: Sites, offsets: Floats, rows: Floats, targets: Floats) -> Gaussian:
    mean = np.concatenate([sites.mean, np.zeros(len(offsets))])
    variance = np.concatenate([sites.variance, offsets])
    return Gaussian(rows, targets, mean, variance)


def _refined(
    sites: Sites, posterior: Gaussian, scale: Floats, shares: Floats
) -> tuple[Sites, Tilted]:
    """One damped parallel update of all sites, in natural parameters."""
    size = len(sites.mean)
    mean, variance = posterior.mean[:size], posterior.variance[:size]
    message = 1.0 / np.maximum(1.0 / variance - 1.0 / sites.variance, 1e-9 / scale**2)
    cavity = message * (mean / variance - sites.mean / sites.variance)
    tilted = tilt(cavity, message, scale, shares)
    precision = np.clip(1.0 / tilted.variance - 1.0 / message, 1e-6 / scale**2, 1e8 / scale**2)
    shift = tilted.mean / tilted.variance - cavity / message
    precision = DAMPING * precision + (1.0 - DAMPING) / sites.variance
    shift = DAMPING * shift + (1.0 - DAMPING) * sites.mean / sites.variance
    return Sites(shift / precision, 1.0 / precision), tilted
