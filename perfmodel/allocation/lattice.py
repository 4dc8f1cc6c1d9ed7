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
        self._shift(levels, levels < self.tops, moves, 1, rng)
        self._shift(levels, levels > 0, moves, -1, rng)
        self._repair(levels, rng)
        self._fill(levels, rng)
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
        met = np.empty((len(start) + rounds * count, start.shape[1]), dtype=np.int64)
        values, known = np.empty(len(met)), 0
        fresh = start
        for turn in range(rounds + 1):
            place = slice(known, known := known + len(fresh))
            met[place], values[place] = fresh, worth(fresh)
            if turn < rounds:
                best = ordered(values[:known])[:beam]
                fresh = self.mutants(met[best], count, rng)
        order = ordered(values)
        return met[order], values[order]

    def _left(self, levels: Integers) -> Integers:
        return np.asarray(self.capacity - self.at(self.prices, levels).sum(axis=1), dtype=np.int64)

    def _repair(self, levels: Integers, rng: np.random.Generator) -> None:
        """Step down until each row is within the budget, in place."""
        over = np.flatnonzero(self._left(levels) < 0)
        while len(over):
            rows = levels[over]
            self._step(rows, rows > 0, -1, rng)
            levels[over] = rows
            over = over[self._left(rows) < 0]

    def _fill(self, levels: Integers, rng: np.random.Generator) -> None:
        """Step up as far as the budget goes, in place."""
        filled = np.arange(len(levels))
        steps = np.diff(self.prices, axis=1, append=self.prices[:, -1:])
        while len(filled):
            rows = levels[filled]
            dear = self.at(steps, rows) > self._left(rows)[:, None]
            may = (rows < self.tops) & ~dear
            self._step(rows, may, 1, rng)
            levels[filled] = rows
            filled = filled[may.any(axis=1)]

    def _shift(
        self, levels: Integers, may: Flags, moves: Integers, by: int, rng: np.random.Generator
    ) -> None:
        """Step so many distinct random layers of each row, of those that may, in place."""
        drawn = np.where(may, rng.random(levels.shape), np.inf)
        most = min(int(moves.max(initial=0)), levels.shape[1] - 1)
        layers = np.argpartition(drawn, most, axis=1)[:, : most + 1]
        first = np.take_along_axis(drawn, layers, axis=1)
        turns = first.argsort(axis=1).argsort(axis=1)
        rows, turns = np.nonzero(np.isfinite(first) & (turns < moves[:, None]))
        levels[rows, layers[rows, turns]] += by

    def _step(self, levels: Integers, may: Flags, by: int, rng: np.random.Generator) -> None:
        """Step one random layer of each row, of those that may, in place."""
        drawn = np.where(may, rng.random(levels.shape), -1.0)
        layer = drawn.argmax(axis=1)
        rows = np.flatnonzero(may.any(axis=1))
        levels[rows, layer[rows]] += by
