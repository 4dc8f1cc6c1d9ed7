"""``gp``: a Gaussian process and the expected improvement, climbed by swaps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from perfmodel.arrays import Floats, Integers
from perfmodel.regressors.gaussian_process import GaussianProcess
from perfmodel.state import ModelState
from perfmodel.strategies.candidates import Climb, random_candidates
from perfmodel.strategies.modelled import Fitted, Modelled
from perfmodel.strategies.training_set import TrainingSet
from rankspace import RankVector

ROWS = 256
"""Trials that are learned from, at most: the best half and the latest half."""

BEND = 4.0
"""How concave the features are: ``log(1 + BEND * x)`` of a rank scaled to [0, 1]."""

RANDOM = 32
"""Random vectors the climb begins at, besides the best trials."""

CLIMB = Climb(rounds=12, count=32)


@dataclass(frozen=True)
class BentProcess:
    """A Gaussian process on concave features: the first ranks of a layer are worth most."""

    process: GaussianProcess

    @classmethod
    def fit(cls, features: Floats, scores: Floats) -> "BentProcess":
        return cls(GaussianProcess.fit(np.log1p(BEND * features), scores))

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, ``(n,)`` each."""
        return self.process.predict(np.log1p(BEND * features))

    def believing(self, features: Floats) -> "BentProcess":
        """As if trials there had scored just as predicted."""
        return BentProcess(self.process.believing(np.log1p(BEND * features)))


class Gp(Modelled[BentProcess]):
    """Expected improvement over the best predicted trial; pending trials count as predicted."""

    source = "Jones, Schonlau & Welch 1998 (EGO); Rasmussen & Williams 2006; swaps on the budget"
    name = "gp"
    begins = 8
    climb = CLIMB

    def regressor(self, state: ModelState, trained: TrainingSet) -> BentProcess:
        rows = _best_and_latest(trained.scores)
        return BentProcess.fit(trained.features()[rows], trained.scores[rows])

    def choose(
        self,
        state: ModelState,
        fitted: Fitted[BentProcess],
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> tuple[RankVector, str] | None:
        """Climb the expected improvement from the best trials and random vectors."""
        scaling, regressor = fitted.trained.scaling, fitted.regressor
        if pending:
            regressor = regressor.believing(scaling(list(pending)))
        tried = self.ordered(state)
        best = float(regressor.predict(scaling(tried[:1]))[0][0]) if tried else 0.0

        def worth(vectors: Sequence[RankVector]) -> Floats:
            return improvement(*regressor.predict(scaling(vectors)), best)

        taken = state.tried | set(pending)
        start = [*tried[: CLIMB.beam], *random_candidates(state, RANDOM, rng)]
        vector = CLIMB(state, start, taken, worth, rng)
        return None if vector is None else (vector, "largest expected improvement found")


def improvement(mean: Floats, std: Floats, best: float) -> Floats:
    """Expected amount by which normal scores exceed ``best``, ``(n,)``."""
    std = np.maximum(std, np.finfo(float).tiny)
    z = (mean - best) / std
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return np.asarray(std * (z * ndtr(z) + density))


def _best_and_latest(scores: Floats) -> Integers:
    """Indices of the rows that are learned from, ascending."""
    if len(scores) <= ROWS:
        return np.arange(len(scores))
    latest = np.arange(len(scores) - ROWS // 2, len(scores))
    earlier = np.argsort(-scores[: latest[0]], kind="stable")[: ROWS - len(latest)]
    return np.sort(np.concatenate([earlier, latest]))
