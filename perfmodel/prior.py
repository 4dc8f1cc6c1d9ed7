"""The prior on the utilities: how strongly each level speaks, as a small explicit grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.curves import Curves
from perfmodel.hierarchy import Hierarchy, Level
from perfmodel.random_vectors import random_vectors
from rankspace import RankVector, SearchSpace

SHARES = (
    # kind, block, own: where the differences between layers lie
    (0.00, 0.00, 1.00),
    (0.50, 0.00, 0.50),
    (0.90, 0.00, 0.10),
    (0.00, 0.50, 0.50),
    (0.00, 0.90, 0.10),
    (0.15, 0.15, 0.70),
    (0.34, 0.33, 0.33),
    (0.60, 0.20, 0.20),
    (0.20, 0.60, 0.20),
    (0.46, 0.46, 0.08),
    (0.495, 0.495, 0.01),
)

SIGNALS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Variance of the score over random vectors, in units of the noise variance."""

COMMON = 2.0
"""Variance of the curve all layers share, in units of a layer's variance around it."""

REFERENCES = 32
"""Random vectors that define "variance over random vectors"."""


@dataclass(frozen=True)
class Prior:
    """What is known of a space before any score.

    Attributes:
        curves: Basis of the utilities.
        hierarchy: Groups of layers.
        shares: Rows of ``SHARES`` that this space can tell apart, ``(s, levels)``, with the common
            level first, each divided by the variance it causes over random vectors.
    """

    curves: Curves
    hierarchy: Hierarchy
    shares: Floats

    @classmethod
    def of(cls, space: SearchSpace) -> "Prior":
        curves, hierarchy = Curves.of(space), Hierarchy.of(space)
        unit = cls(curves, hierarchy, np.zeros((0, len(Level))))
        reference = unit.features(random_vectors(space, REFERENCES, seed=0))
        own = unit.grams(reference, reference)[Level.OWN]
        spread = float(np.trace(own) / len(own) - own.mean()) or 1.0
        return cls(curves, hierarchy, _distinct_shares(hierarchy) / spread)

    def features(self, vectors: Sequence[RankVector]) -> Floats:
        """Curves of every layer, ``(n, layers, curves)``."""
        ranks = np.array([vector.ranks for vector in vectors], dtype=np.int64)
        return self.curves(ranks.reshape(len(vectors), -1))

    def grams(self, left: Floats, right: Floats) -> Floats:
        """Covariances of scores under unit effects of one level, ``(levels, n, m)``.

        Args:
            left: Features ``(n, layers, curves)``.
            right: Features ``(m, layers, curves)``.
        """
        return np.stack([self._gram(level, left, right) for level in Level])

    def _gram(self, level: Level, left: Floats, right: Floats) -> Floats:
        first = self.hierarchy.gather(level, left).reshape(len(left), -1)
        second = self.hierarchy.gather(level, right).reshape(len(right), -1)
        return np.asarray(first @ second.T)

    def variances(self, features: Floats) -> Floats:
        """Prior variances of single scores under unit effects of one level, ``(levels, n)``."""
        return np.stack([(self.hierarchy.gather(at, features) ** 2).sum((1, 2)) for at in Level])


def _distinct_shares(hierarchy: Hierarchy) -> Floats:
    """Shares over the levels this space has, with the common level's first."""
    present = np.array([hierarchy.sizes[level] > 0 or level == Level.OWN for level in Level][1:])
    rows = np.where(present, np.array(SHARES), 0.0)
    rows /= rows.sum(axis=1, keepdims=True)
    _, first = np.unique(np.round(rows, 2), axis=0, return_index=True)
    rows = rows[first]
    return np.concatenate([np.full((len(rows), 1), COMMON), rows], axis=1)
