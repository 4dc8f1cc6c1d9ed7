"""``cmaes``: Optuna's CMA-ES, told what was tried."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from perfmodel.arrays import Integers
from perfmodel.state import ModelState
from perfmodel.strategies.memory import put, take
from perfmodel.strategies.samplers.encoding import OrdinalEncoding, Point, ScoredPoint
from perfmodel.strategies.samplers.projected import Projected
from rankspace import RankVector

if TYPE_CHECKING:
    from cmaes import CMA

SIGMA = 1.0 / 6.0
"""First standard deviation, the range of a layer being 1; Optuna's default."""

LEAST_LAYERS = 2
"""The covariance of one layer is none."""


class Cmaes(Projected):
    """The optimiser behind Optuna's CmaEsSampler, at the sampler's settings, begun at uniform.

    It is used without the sampler because that keeps its state, as pickles, in trials it sampled
    itself; ours must follow from the observations alone, which are the repaired points.
    """

    source = "Hansen 2016 (CMA-ES, arXiv 1604.00772), package cmaes, as in Optuna"
    name = "cmaes"

    def ask(
        self,
        state: ModelState,
        encoding: OrdinalEncoding,
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> Point:
        """Sample the present distribution; what is pending does not change it."""
        if len(encoding.free) < LEAST_LAYERS:
            return (int(rng.integers(encoding.tops[0] + 1)),)
        tops = np.array(encoding.tops)
        run = take(state, self.name) or Run.begin(encoding, state.setup.uniform)
        scored = encoding.scored(state)
        if run.told != scored[: len(run.told)]:
            run = Run.begin(encoding, state.setup.uniform)
        run.tell(scored, tops)
        run.optimizer.reseed_rng(int(rng.integers(2**32)))
        point = np.rint(run.optimizer.ask() * tops)
        put(state, self.name, run)
        return tuple(int(level) for level in point)


@dataclass
class Run:
    """An optimiser and the trials it was told, whole generations only."""

    optimizer: "CMA"
    told: tuple[ScoredPoint, ...] = field(default=())

    @classmethod
    def begin(cls, encoding: OrdinalEncoding, uniform: RankVector) -> "Run":
        from cmaes import CMA

        point, count = encoding.encode(uniform), len(encoding.free)
        assert point is not None
        return cls(
            CMA(
                np.array(point) / np.array(encoding.tops),
                SIGMA,
                bounds=np.tile([0.0, 1.0], (count, 1)),
                n_max_resampling=10 * count,
            )
        )

    def tell(self, scored: tuple[ScoredPoint, ...], tops: Integers) -> None:
        """Tell every full generation not told yet; ``tops`` are the highest levels, ``(d,)``."""
        size = self.optimizer.population_size
        while len(scored) - len(self.told) >= size:
            generation = scored[len(self.told) : len(self.told) + size]
            points = [(np.array(one.point) / tops, -one.score) for one in generation]
            self.optimizer.tell(points)
            self.told += generation
