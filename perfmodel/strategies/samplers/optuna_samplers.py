"""``tpe`` and ``gp-optuna``: Optuna's samplers on an in-memory study, at their default settings."""

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.state import ModelState
from perfmodel.strategies.memory import put, take
from perfmodel.strategies.samplers.encoding import OrdinalEncoding, Point
from perfmodel.strategies.samplers.projected import Projected
from rankspace import RankVector

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class Sampled(Projected):
    """Asks a sampler seeded for each proposal; the study behind it is kept and only extended."""

    @abstractmethod
    def sampler(self, seed: int) -> "BaseSampler":
        """Return a new sampler, which must depend on the seed and the study's trials alone."""

    def ask(
        self,
        state: ModelState,
        encoding: OrdinalEncoding,
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> Point:
        """Tell the study what is new, and ask it with the pending vectors as running trials."""
        from perfmodel.strategies.samplers.optuna_study import OptunaStudy

        study: OptunaStudy = take(state, self.name) or OptunaStudy(encoding)
        scored = encoding.scored(state)
        if study.told != scored[: len(study.told)]:
            study = OptunaStudy(encoding)
        study.tell(scored[len(study.told) :])
        running = [point for vector in pending if (point := encoding.encode(vector)) is not None]
        point = study.ask(self.sampler(int(rng.integers(2**32))), running)
        put(state, self.name, study)
        return point


class Tpe(Sampled):
    """Multivariate, with a constant liar: Optuna 5's default sampler."""

    source = "Bergstra et al. 2011; Falkner et al. 2018; Optuna's TPESampler"
    name = "tpe"

    def sampler(self, seed: int) -> "BaseSampler":
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed)


class GpOptuna(Sampled):
    """ARD Matern-5/2 and log expected improvement; seconds per proposal, and it needs torch."""

    source = "Optuna's GPSampler; log expected improvement, Ament et al. 2023"
    name = "gp-optuna"

    def sampler(self, seed: int) -> "BaseSampler":
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, warn_independent_sampling=False)
