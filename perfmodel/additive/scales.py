"""Scales: how much each layer may matter, pooled over kinds of matrices and over blocks.

The scale of a layer is a product: one common factor, one of its kind, one of its block, and what a
meta-learned prior expects, to a power that is learned as well. A product, because a damaged block
needs more of everything and a useless kind is useless in every block. The layer's own deviation
is left to the heavy tails of ``perfmodel.additive.amplitudes``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from perfmodel.additive import amplitudes
from perfmodel.additive.basis import Basis
from perfmodel.additive.curves import WEIGHTS
from perfmodel.arrays import Floats, Integers

POOLED = 0.25
"""Layers' worth of "this group is like the others" in every group's factor."""

CERTAIN = 3.0
"""Layers' worth of ``amplitudes.SHARES`` in the mixture's shares."""

COMMON = 2.0
"""Layers' worth of the first guess in the common factor, at each step."""

DOUBT = 0.5
"""Prior standard deviation of the trust in a meta-learned prior around 1."""

MOST_TRUST = 1.5
LOUDEST = 10.0
"""Largest surprise, as a ratio of squares, one layer may contribute to the trust."""


@dataclass(frozen=True)
class Scales:
    """Prior scales of the coefficients.

    Attributes:
        common: Score units per layer of average worth.
        factors: Per axis of the hierarchy, the factor of each group, geometric mean 1.
        trust: Power of the meta-learned expectation; 0 ignores it.
        shares: Of the amplitudes' mixture, ``(components,)``.
    """

    common: float
    factors: tuple[Floats, ...]
    trust: float
    shares: Floats

    @classmethod
    def first(
        cls, basis: Basis, features: Callable[[], Iterable[Floats]], spread: float
    ) -> "Scales":
        """Guess before any fit: the layers share the scores' standard deviation ``spread``.

        ``features`` gives those of all trials, part by part, as often as it is called.
        """
        total = [(part.sum(axis=0), len(part)) for part in features()]
        mean = sum(part for part, _ in total) / sum(count for _, count in total)
        weighted = (((part - mean) * _weights(basis)) ** 2 for part in features())
        variance = float(np.concatenate([part.sum(axis=1) for part in weighted]).mean())
        common = spread / np.sqrt(variance) if variance > 0.0 else spread
        factors = tuple(np.ones(int(axis.max()) + 1) for axis in basis.hierarchy.axes)
        return cls(float(common), factors, 1.0, amplitudes.SHARES)

    def of(self, basis: Basis) -> Floats:
        """Scale of every coefficient, ``(p,)``."""
        layers = self.common * np.exp(self.trust * basis.log_worth)
        for factor, axis in zip(self.factors, basis.hierarchy.axes, strict=True):
            layers = layers * factor[axis]
        return np.asarray((layers[:, None] * np.array(WEIGHTS)).ravel())

    def updated(self, basis: Basis, squares: Floats, shares: Floats) -> "Scales":
        """One step of expectation maximisation.

        Args:
            basis: Of the space.
            squares: Expected squares of the coefficients, ``(p,)``.
            shares: Probable components of the coefficients, ``(p, components)``.

        Source: Gelman et al. (2013), section 13.4, with every group's factor shrunk towards 1.
        """
        layers = len(basis.hierarchy.free)
        voted = CERTAIN * amplitudes.SHARES + shares.sum(axis=0) / len(WEIGHTS)
        mixture = voted / (CERTAIN + layers)
        expected = self.of(basis) ** 2 * amplitudes.mean_square(mixture)
        ratio = basis.by_layer(squares / expected).mean(axis=1)
        return Scales(
            self.common * float(np.sqrt((COMMON + ratio.sum()) / (COMMON + layers))),
            tuple(
                _pooled(factor, axis, ratio)
                for factor, axis in zip(self.factors, basis.hierarchy.axes, strict=True)
            ),
            _trusted(self.trust, basis.log_worth, ratio),
            mixture,
        )


def _weights(basis: Basis) -> Floats:
    return np.tile(np.array(WEIGHTS), len(basis.hierarchy.free))


def _pooled(factor: Floats, axis: Integers, ratio: Floats) -> Floats:
    count = np.bincount(axis, minlength=len(factor))
    total = np.bincount(axis, weights=ratio * factor[axis] ** 2, minlength=len(factor))
    moved = np.sqrt((POOLED + total) / (POOLED + count))
    return np.asarray(moved / np.exp(np.log(moved).mean()))


def _trusted(trust: float, log_worth: Floats, ratio: Floats) -> float:
    """One Newton step on the power of the expectation."""
    if not log_worth.any():
        return trust
    surprise = np.minimum(ratio, LOUDEST) - 1.0
    slope = float(log_worth @ surprise) - (trust - 1.0) / DOUBT**2
    curvature = 2.0 * float(log_worth @ log_worth) + 1.0 / DOUBT**2
    return float(np.clip(trust + slope / curvature, 0.0, MOST_TRUST))
