"""Lattice: the vectors of a space as arrays of levels, to change and judge many of them at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.allocation.random_vectors import random_vector
from perfmodel.arrays import Flags, Floats, Integers
from rankspace import RankVector, SearchSpace

LAYERS_PER_MOVE = 16
"""One extra move per this many layers, on average, as ``swap`` moves."""

GRAIN = 2.0**-24
"""Worths that differ by less, relative to the largest, are alike: no processor decides a tie."""


def ordered(worths: Floats) -> Integers:
    """Indices from the largest down, ``(n,)``; those that differ by a grain stay in their order."""
    grain = GRAIN * float(np.abs(worths).max(initial=0.0)) or 1.0
    return np.argsort(-np.round(worths / grain), kind="stable")


@dataclass(frozen=True)
class Lattice:
    """A level is the index of a free layer's rank among those that it may take.

    Attributes:
        space: The space.
        free: Indices of the free layers, ``(d,)``.
        ranks: Of each free layer, its highest repeated where it has fewer choices, ``(d, R)``.
        prices: Parameters likewise, ``(d, R)``.
        tops: Highest level of each, ``(d,)``.
        capacity: Parameters that the free layers may have together.
        base: Rank of every layer at level 0, ``(layers,)``.
    """

    space: SearchSpace
    free: Integers
    ranks: Integers
    prices: Integers
    tops: Integers
    capacity: int
    base: tuple[int, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Lattice":
        free = np.array(space.free_layers, dtype=np.int64)
        columns = range(len(space.ranks))
        choices = [space.options[i] for i in free]
        ranks = [[of[min(c, len(of) - 1)] for c in columns] for of in choices]
        prices = [[space.price(int(i), r) for r in row] for i, row in zip(free, ranks, strict=True)]
        shape = (len(free), len(space.ranks))
        tops = np.array([len(of) - 1 for of in choices], dtype=np.int64)
        table = np.array(prices, dtype=np.int64).reshape(shape)
        cheapest = space.cheapest()
        others = space.parameters(cheapest) - int(table[:, 0].sum())
        ranked = np.array(ranks, dtype=np.int64).reshape(shape)
        capacity = space.max_parameters - others
        return cls(space, free, ranked, table, tops, capacity, cheapest.ranks)

    def levels(self, vectors: Sequence[RankVector]) -> Integers:
        """Of vectors of the space, ``(n, d)``."""
        options = self.space.options
        rows = [[options[i].index(vector.ranks[i]) for i in self.free] for vector in vectors]
        return np.array(rows, dtype=np.int64).reshape(len(vectors), len(self.free))

    def vector(self, levels: Integers) -> RankVector:
        """From ``(d,)``."""
        ranks = list(self.base)
        mine = self.at(self.ranks, levels).tolist()
        for layer, rank in zip(self.free.tolist(), mine, strict=True):
            ranks[layer] = int(rank)
        return RankVector(tuple(ranks))

    def at(self, table: Floats | Integers, levels: Integers) -> Floats:
        """Entries of a ``(d, R)`` table at ``(..., d)`` levels, likewise."""
        return np.asarray(table[np.arange(len(self.free)), levels])

    def random(self, count: int, rng: np.random.Generator) -> Integers:
        """Draw on the budget, ``(count, d)``."""
        return self.levels([random_vector(self.space, rng) for _ in range(count)])

    def mutants(self, parents: Integers, count: int, rng: np.random.Generator) -> Integers:
        """Change ``parents``, ``(n, d)``, by turns: a few layers up and as many down.

        All stay within the budget, and use it as far as single steps do: ``(count, d)``.
        """
        levels = parents[np.arange(count) % len(parents)].copy()
        moves = 1 + rng.poisson(len(self.free) / LAYERS_PER_MOVE, count)
        for move in range(int(moves.max(initial=0))):
            acts = (moves > move)[:, None]
            self._step(levels, acts & (levels < self.tops), 1, rng)
            self._step(levels, acts & (levels > 0), -1, rng)
        while (over := self._left(levels) < 0).any():
            self._step(levels, over[:, None] & (levels > 0), -1, rng)
        steps = np.diff(self.prices, axis=1, append=self.prices[:, -1:])
        while (fits := self._affordable(levels, steps)).any():
            self._step(levels, fits, 1, rng)
        return levels

    def climb(
        self,
        start: Integers,
        worth: Callable[[Integers], Floats],
        rng: np.random.Generator,
        *,
        rounds: int,
        count: int,
        beam: int = 4,
    ) -> tuple[Integers, Floats]:
        """Mutate the best ``beam`` again and again.

        Args:
            start: Where to begin, ``(n, d)``.
            worth: Of ``(m, d)`` levels, ``(m,)``.
            rng: Of the mutants.
            rounds: Of mutation.
            count: Mutants per round.
            beam: How many are mutated.

        Returns:
            Everything met, ``(n, d)``, and its worth, best first.
        """
        met, values = start, worth(start)
        for turn in range(rounds + 1):
            order = ordered(values)
            met, values = met[order], values[order]
            if turn < rounds:
                fresh = self.mutants(met[:beam], count, rng)
                met = np.concatenate([met, fresh])
                values = np.concatenate([values, worth(fresh)])
        return met, values

    def _left(self, levels: Integers) -> Integers:
        return np.asarray(self.capacity - self.at(self.prices, levels).sum(axis=1), dtype=np.int64)

    def _affordable(self, levels: Integers, steps: Integers) -> Flags:
        """Which layers may rise, given the parameters of a step from each level, ``(d, R)``."""
        dear = self.at(steps, levels) > self._left(levels)[:, None]
        return np.asarray((levels < self.tops) & ~dear)

    def _step(self, levels: Integers, may: Flags, by: int, rng: np.random.Generator) -> None:
        """Step one random layer of each row, of those that may, in place."""
        drawn = np.where(may, rng.random(levels.shape), -1.0)
        layer = drawn.argmax(axis=1)
        rows = np.flatnonzero(may.any(axis=1))
        levels[rows, layer[rows]] += by
