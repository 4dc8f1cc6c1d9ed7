"""Basis: from rank vectors to the regression's features, and from coefficients to utilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.belief import Belief
from perfmodel.additive.curves import WEIGHTS, Curves
from perfmodel.additive.hierarchy import Hierarchy
from perfmodel.arrays import Floats
from rankspace import RankVector, SearchSpace


@dataclass(frozen=True)
class Basis:
    """One column per free layer and curve, layer by layer: ``p = free * curves``.

    Attributes:
        curves: Of one layer.
        hierarchy: What layers share.
        costs: Parameters per rank of every layer, ``(layers,)``.
        log_worth: What a meta-learned prior expects of each free layer, ``(free,)``; zeros
            without one.
    """

    curves: Curves
    hierarchy: Hierarchy
    costs: Floats
    log_worth: Floats

    @classmethod
    def of(cls, space: SearchSpace, belief: Belief | None = None) -> "Basis":
        hierarchy = Hierarchy.of(space)
        worth = np.zeros(len(space.layers)) if belief is None else np.array(belief.log_worth)
        costs = np.array(space.costs, dtype=np.float64)
        return cls(Curves.of(space), hierarchy, costs, worth[hierarchy.free])

    @property
    def layers(self) -> int:
        """Number of layers, fixed ones included."""
        return len(self.costs)

    def features(self, vectors: Sequence[RankVector]) -> Floats:
        """Curves of the free layers, ``(n, p)``."""
        ranks = np.array([vector.ranks for vector in vectors], dtype=np.int64)
        free = ranks.reshape(len(vectors), self.layers)[:, self.hierarchy.free]
        return self.curves(free).reshape(len(vectors), len(WEIGHTS) * len(self.hierarchy.free))

    def tables(self, coefficients: Floats) -> Floats:
        """Utilities on the allowed ranks, ``(layers, R)``; those of fixed layers are 0."""
        tables = np.zeros((self.layers, len(self.curves.ranks)))
        tables[self.hierarchy.free] = self.by_layer(coefficients) @ self.curves.table.T
        return tables

    def by_layer(self, columns: Floats) -> Floats:
        """Reshape ``(p,)`` to ``(free, curves)``."""
        return columns.reshape(-1, len(WEIGHTS))
