"""Boosted trees that never predict less of a higher rank, in an ensemble for the spread."""

from dataclasses import dataclass

import numpy as np
import xgboost

from perfmodel.arrays import Floats

MEMBERS = 5
"""Each learns from its own bootstrap sample of the trials."""

ROUNDS = 100

SETTINGS = {
    "max_depth": 3,
    "eta": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "min_child_weight": 2,
    "nthread": 1,
    "verbosity": 0,
}
"""Small, slow trees, as there are tens of trials; one thread, so that the sums are the same
everywhere."""


@dataclass(frozen=True)
class BoostedTrees:
    """The members of the ensemble."""

    members: tuple[xgboost.Booster, ...]

    @classmethod
    def fit(cls, features: Floats, scores: Floats, rng: np.random.Generator) -> "BoostedTrees":
        """Fit every member to a bootstrap sample of ``(n, d)`` features and ``(n,)`` scores."""
        rising = "(" + ",".join("1" * features.shape[1]) + ")"
        members = []
        for seed in range(MEMBERS):
            rows = rng.integers(len(scores), size=len(scores))
            sample = xgboost.DMatrix(features[rows], scores[rows], nthread=1)
            settings = SETTINGS | {"seed": seed, "monotone_constraints": rising}
            members.append(xgboost.train(settings, sample, ROUNDS))
        return cls(tuple(members))

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the members, ``(n,)`` each."""
        rows = xgboost.DMatrix(features, nthread=1)
        each = np.array([member.predict(rows) for member in self.members], dtype=np.float64)
        return each.mean(axis=0), each.std(axis=0, ddof=1)
