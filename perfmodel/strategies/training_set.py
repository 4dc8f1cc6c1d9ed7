"""TrainingSet: the scored trials as rows of a regression on the free layers' ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.standard import Standard
from perfmodel.arrays import Floats, Integers
from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from rankspace import RankVector, SearchSpace

LEAST_SCORES_TO_LEARN = 2
"""Scores before anything is learned from them."""


@dataclass(frozen=True)
class MinMaxScaling:
    """Ranks as numbers: of the free layers, min-max scaled to [0, 1].

    Attributes:
        free: Indices of the free layers, ``(d,)``.
        low: Lowest allowed rank.
        width: Highest minus lowest; 1 if there is one rank only.
    """

    free: Integers
    low: int
    width: int

    @classmethod
    def of(cls, space: SearchSpace) -> "MinMaxScaling":
        width = max(1, space.ranks[-1] - space.ranks[0])
        return cls(np.array(space.free_layers, dtype=np.int64), space.ranks[0], width)

    def __call__(self, vectors: Sequence[RankVector]) -> Floats:
        """``(n, d)``; ranks below the lowest, of results of another study, count as the lowest."""
        ranks = np.array([vector.ranks for vector in vectors], dtype=np.float64)
        return np.maximum(ranks[:, self.free] - self.low, 0.0) / self.width


@dataclass(frozen=True)
class TrainingSet:
    """What a regressor learns from.

    Attributes:
        scaling: Of the space.
        vectors: Of the trials with a score, in the order learned.
        scores: Theirs, made comparable over fidelities, outliers pulled in; 0 is ``centre`` and
            1 is ``scale``.
        centre: Median score.
        scale: Their standard deviation; 1 if they are all alike.
    """

    scaling: MinMaxScaling
    vectors: tuple[RankVector, ...]
    scores: Floats
    centre: float
    scale: float

    @classmethod
    def of(cls, state: ModelState) -> "TrainingSet | None":
        """Collect the rows; None while there are fewer than two, or if no layer is free."""
        scaling = MinMaxScaling.of(state.space)
        if len(state.scored) < LEAST_SCORES_TO_LEARN or not len(scaling.free):
            return None
        scores = comparable_scores(state)
        standard = Standard.of(scores)
        units, scale = standard.standardised(scores)
        vectors = tuple(seen.rank_vector for seen in state.scored)
        return cls(scaling, vectors, units, standard.centre, scale)

    def __len__(self) -> int:
        return len(self.vectors)

    def features(self) -> Floats:
        """``(n, d)``."""
        return self.scaling(self.vectors)

    def without(self, left_out: Integers) -> "TrainingSet":
        """All rows but those at the indices ``left_out``; location and scale stay."""
        kept = np.setdiff1d(np.arange(len(self)), left_out)
        vectors = tuple(self.vectors[at] for at in kept)
        return TrainingSet(self.scaling, vectors, self.scores[kept], self.centre, self.scale)

    def raised(self, mean: Floats, std: Floats) -> tuple[Floats, Floats]:
        """Bring predictions on the scale of ``scores`` back to the study's scale."""
        return self.centre + self.scale * mean, self.scale * std
