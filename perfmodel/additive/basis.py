"""Basis: from rank vectors to the regression's features, and from coefficients to utilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.belief import Belief
from perfmodel.additive.curves import WEIGHTS, Curves
from perfmodel.additive.hierarchy import Hierarchy
from perfmodel.arrays import Floats, Integers
from rankspace import RankVector, SearchSpace
from rankspace.cached import cached_property


@dataclass(frozen=True)
class Basis:
    """One column per free layer and curve, layer by layer: ``p = free * curves``.

    Attributes:
        curves: Of one layer.
        hierarchy: What layers share.
        costs: Parameters per rank of every layer, ``(layers,)``.
        log_worth: What a meta-learned prior expects of each free layer, ``(free,)``; zeros
            without one.
        ranks: Of each free layer where an allowed rank is asked for, ``(free, R)``.
    """

    curves: Curves
    hierarchy: Hierarchy
    costs: Floats
    log_worth: Floats
    ranks: Integers

    @classmethod
    def of(cls, space: SearchSpace, belief: Belief | None = None) -> "Basis":
        hierarchy = Hierarchy.of(space)
        worth = np.zeros(len(space.layers)) if belief is None else np.array(belief.log_worth)
        costs = np.array(space.costs, dtype=np.float64)
        ranks = np.array(space.table, dtype=np.int64)[hierarchy.free]
        return cls(Curves.of(space), hierarchy, costs, worth[hierarchy.free], ranks)

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
        """Utilities on the allowed ranks, ``(layers, R)``; those of fixed layers are 0.

        A layer that cannot use the highest ranks has in their columns what its highest is worth.
        """
        columns = self.by_layer(coefficients)
        rows = columns @ self.curves.table.T
        rows[self.full] = np.einsum("lc,lrc->lr", columns[self.full], self.full_curves)
        return self._over_all(rows)

    def expected(self) -> Floats:
        """Utilities before any score, ``(layers, R)``, up to a common factor."""
        worth = np.exp(self.log_worth)[:, None]
        rows = worth * self.curves.table.mean(axis=1)
        rows[self.full] = worth[self.full] * self.full_curves.mean(axis=2)
        return self._over_all(rows)

    def _over_all(self, rows: Floats) -> Floats:
        tables = np.zeros((self.layers, len(self.curves.ranks)))
        tables[self.hierarchy.free] = rows
        return tables

    @cached_property
    def full_curves(self) -> Floats:
        """The curves on the ranks of the layers that are ``full``, ``(full, R, curves)``."""
        return self.curves(self.ranks[self.full])

    @cached_property
    def full(self) -> Integers:
        """Which free layers cannot use every allowed rank, ``(full,)``."""
        return np.flatnonzero((self.ranks != self.curves.ranks).any(axis=1))

    def by_layer(self, columns: Floats) -> Floats:
        """Reshape ``(p,)`` to ``(free, curves)``."""
        return columns.reshape(-1, len(WEIGHTS))
