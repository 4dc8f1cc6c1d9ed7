"""Levels: rank vectors as points of a generic optimiser, one number per layer that is searched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.allocation.random_vectors import repair
from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from rankspace import RankVector, SearchSpace

Levels = tuple[int, ...]


@dataclass(frozen=True)
class Scored:
    """A point and its score, higher is better."""

    levels: Levels
    score: float


@dataclass(frozen=True)
class LevelSpace:
    """The free layers' ranks as indices into the allowed ranks, without the budget.

    Attributes:
        space: Of the study.
        free: Indices of the free layers.
    """

    space: SearchSpace
    free: tuple[int, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "LevelSpace":
        return cls(space, tuple(space.free_layers))

    def levels(self, vector: RankVector) -> Levels | None:
        """Return the point of ``vector``; None if it has ranks that are not allowed."""
        ranks = [vector.ranks[layer] for layer in self.free]
        if not set(ranks) <= set(self.space.ranks):
            return None
        return tuple(self.space.ranks.index(rank) for rank in ranks)

    def repaired(self, levels: Sequence[int], rng: np.random.Generator) -> RankVector:
        """Return a feasible vector near the point; it uses the budget."""
        everywhere = [0] * len(self.space.layers)
        for layer, level in zip(self.free, levels, strict=True):
            everywhere[layer] = level
        return repair(self.space, everywhere, rng)

    def scored(self, state: ModelState) -> tuple[Scored, ...]:
        """Every trial with a score that is a point, in the order learned."""
        scores = comparable_scores(state).tolist()
        both = zip(state.scored, scores, strict=True)
        points = ((self.levels(seen.rank_vector), score) for seen, score in both)
        return tuple(Scored(levels, score) for levels, score in points if levels is not None)
