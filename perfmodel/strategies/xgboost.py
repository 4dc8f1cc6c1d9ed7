"""``xgboost``: boosted trees, non-decreasing in every rank, and an upper confidence bound."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.state import ModelState
from perfmodel.strategies.candidates import Climb, random_candidates
from perfmodel.strategies.modelled import Fitted, Modelled
from perfmodel.strategies.training_set import TrainingSet
from rankspace import RankVector

if TYPE_CHECKING:
    from perfmodel.regressors.boosted_trees import BoostedTrees

HOPE = 1.0
"""Standard deviations over the members that a vector is given the benefit of."""

RANDOM = 64
"""Random vectors the climb begins at, besides the best trials."""


class Xgboost(Modelled["BoostedTrees"]):
    """The ensemble's mean plus its spread, climbed from the best trials and random vectors."""

    source = "Chen & Guestrin 2016 (XGBoost); upper confidence over a bootstrap, Breiman 1996"
    name = "xgboost"
    begins = 8
    climb = Climb(rounds=4, count=64)

    def regressor(self, state: ModelState, trained: TrainingSet) -> "BoostedTrees":
        from perfmodel.regressors.boosted_trees import BoostedTrees

        return BoostedTrees.fit(
            trained.features(), trained.scores, np.random.default_rng(state.seed)
        )

    def choose(
        self,
        state: ModelState,
        fitted: Fitted["BoostedTrees"],
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> tuple[RankVector, str] | None:
        """Climb the upper confidence bound."""

        def hopeful(vectors: Sequence[RankVector]) -> Floats:
            mean, std = fitted(vectors)
            return mean + HOPE * std

        start = [*self.ordered(state)[: self.climb.beam], *random_candidates(state, RANDOM, rng)]
        vector = self.climb(state, start, state.tried | set(pending), hopeful, rng)
        return None if vector is None else (vector, "highest upper confidence bound found")
