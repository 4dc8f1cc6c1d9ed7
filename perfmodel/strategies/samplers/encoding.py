"""Ordinal encoding: rank vectors as points of a generic optimiser, one number per free layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.allocation.random_vectors import repair
from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from rankspace import RankVector, SearchSpace

Point = tuple[int, ...]
"""Index into the choices of each free layer."""


@dataclass(frozen=True)
class ScoredPoint:
    """A point and its score, higher is better."""

    point: Point
    score: float


@dataclass(frozen=True)
class OrdinalEncoding:
    """The free layers' ranks as indices into their choices, without the budget.

    Attributes:
        space: Of the study.
        free: Indices of the free layers.
    """

    space: SearchSpace
    free: tuple[int, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "OrdinalEncoding":
        return cls(space, tuple(space.free_layers))

    @property
    def tops(self) -> Point:
        """The highest index of each free layer."""
        return tuple(len(self.space.choices(layer)) - 1 for layer in self.free)

    def encode(self, vector: RankVector) -> Point | None:
        """Return the point of ``vector``; None if it has ranks that are not allowed."""
        both = [(self.space.choices(layer), vector.ranks[layer]) for layer in self.free]
        if not all(rank in choices for choices, rank in both):
            return None
        return tuple(choices.index(rank) for choices, rank in both)

    def repaired(self, point: Sequence[int], rng: np.random.Generator) -> RankVector:
        """Return a feasible vector near the point; it uses the budget."""
        everywhere = [0] * len(self.space.layers)
        for layer, level in zip(self.free, point, strict=True):
            everywhere[layer] = level
        return repair(self.space, everywhere, rng)

    def scored(self, state: ModelState) -> tuple[ScoredPoint, ...]:
        """Every trial with a score that is a point, in the order learned."""
        scores = comparable_scores(state).tolist()
        both = zip(state.scored, scores, strict=True)
        points = ((self.encode(seen.rank_vector), score) for seen, score in both)
        return tuple(ScoredPoint(point, score) for point, score in points if point is not None)
