"""Improving: where a process expects to gain on the best trial, as far as climbing finds it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from perfmodel.allocation.lattice import Lattice, ordered
from perfmodel.arrays import Floats, Integers
from perfmodel.state import ModelState
from perfmodel.strategies.climbing.process import Process
from perfmodel.strategies.gp import improvement
from perfmodel.strategies.observed import contenders
from rankspace import RankVector
from rankspace.cached import cached_property

PARENTS = 4
"""Trials at which a search begins, the best predicted."""

ROUNDS, MUTANTS = 8, 48
"""Of that search."""

HEARD = 96
"""Candidates, the best while nothing was pending, that are judged anew where something is."""


@dataclass(frozen=True)
class Improving:
    """The climbs on one process, the same for all proposals after the same trials.

    Attributes:
        state: What is known.
        process: Which foretells.
    """

    state: ModelState
    process: Process

    def vector(self, pending: Collection[RankVector]) -> RankVector | None:
        """The largest expected improvement over the best trial's mean, of those that were found.

        Neither tried nor ``pending``, whose trials count as predicted; None if there was none.
        """
        pool, taken = self.pool, self.state.tried | set(pending)
        if pending:
            process = self.process.believing(tuple(pending))
            highest = float(process.predict(self.parents[:1])[0][0])
            near = pool[: HEARD + len(pending)]
            worths = improvement(*process.predict_levels(self._lattice, near), highest)
            pool = near[ordered(worths)]
        found = (self._lattice.vector(levels) for levels in pool)
        return next((vector for vector in found if vector not in taken), None)

    def prepare(self) -> None:
        """Climb now, and not when a proposal waits for it."""
        _ = self.pool

    @cached_property
    def pool(self) -> Integers:
        """What a climb of the expected improvement meets while nothing is pending, best first.

        ``(n, d)`` levels.
        """
        highest = float(self.process.predict(self.parents[:1])[0][0])
        rng = np.random.default_rng([self.state.seed, len(self.state.observations)])

        def worth(levels: Integers) -> Floats:
            return improvement(*self.process.predict_levels(self._lattice, levels), highest)

        start = self._lattice.levels(self.parents)
        return self._lattice.climb(start, worth, rng, rounds=ROUNDS, count=MUTANTS)[0]

    @cached_property
    def parents(self) -> tuple[RankVector, ...]:
        """The best trials as the process sees them, or uniform."""
        tried = tuple(contenders(self.state)) or (self.state.setup.uniform,)
        means, _ = self.process.predict(tried)
        return tuple(tried[at] for at in ordered(means)[:PARENTS])

    @property
    def _lattice(self) -> Lattice:
        return self.state.setup.lattice
