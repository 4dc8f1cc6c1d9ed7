"""Beliefs: both models of a study as of its latest trial, and the share that each has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.levelled import Levelled
from perfmodel.additive.posterior import Posterior
from perfmodel.allocation.grid import on_grid
from perfmodel.allocation.lattice import Lattice
from perfmodel.arrays import Floats, Integers
from perfmodel.state import ModelState
from perfmodel.strategies.blending.review import Review, due
from perfmodel.strategies.climbing.process import Process
from perfmodel.strategies.memory import put, remembered, take
from rankspace import Observation, RankVector


@dataclass(frozen=True)
class Beliefs:
    """What is believed.

    Attributes:
        posterior: Of the additive model.
        process: On the same trials.
        review: Who foretells better.
    """

    posterior: Posterior
    process: Process
    review: Review

    @classmethod
    def of(cls, state: ModelState) -> "Beliefs | None":
        """None before the first review, and where no layer is free."""
        if not due(len(state.scored)) or not state.space.free_layers:
            return None
        return remembered(state, "beliefs of blend", lambda: cls._of(state))

    @classmethod
    def _of(cls, state: ModelState) -> "Beliefs":
        posterior, review = state.posterior, reviewed(state)
        assert posterior is not None
        trials = Levelled.of(posterior, state.scored)
        return cls(posterior, review.process.on(trials), review)

    @property
    def weight(self) -> float:
        """Share of the additive model."""
        return self.review.weight

    def predict(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score under the mixture, ``(n,)`` each."""
        return self._mixed(self.posterior.predict(vectors), self.process.predict(vectors))

    def gains(self, vectors: Sequence[RankVector], over: RankVector) -> tuple[Floats, Floats]:
        """The same of what each of ``vectors`` scores above ``over``, ``(n,)`` each."""
        return self._mixed(self.posterior.gains(vectors, over), self.process.gains(vectors, over))

    def _mixed(
        self, mine: tuple[Floats, Floats], other: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats]:
        (ours, our_std), (theirs, their_std), share = mine, other, self.weight
        mean = share * ours + (1.0 - share) * theirs
        inside = share * our_std**2 + (1.0 - share) * their_std**2
        between = share * (1.0 - share) * (ours - theirs) ** 2
        return mean, np.sqrt(inside + between)

    def additive_optimum(self, state: ModelState) -> RankVector:
        """The optimum of the additive model's mean."""
        return state.setup.allocator.best(on_grid(self.posterior.mean_tables()))

    def process_mean(self, lattice: Lattice) -> Callable[[Integers], Floats]:
        """The process's mean as a function of levels."""
        return lambda levels: self.process.predict_levels(lattice, levels)[0]

    def mean(self, lattice: Lattice) -> Callable[[Integers], Floats]:
        """The mixture's mean as a function of levels, up to a constant."""
        tables = self.posterior.mean_tables()[lattice.free]
        share = self.weight

        def of(levels: Integers) -> Floats:
            ours = lattice.at(tables, levels).sum(axis=1)
            theirs, _ = self.process.predict_levels(lattice, levels)
            return np.asarray(share * ours + (1.0 - share) * theirs)

        return of


def reviewed(state: ModelState) -> Review:
    """The latest review that is due, of the scores that it is of."""
    seen = state.scored[: due(len(state.scored))]
    kept: tuple[tuple[Observation, ...], Review] | None = take(state, "review of blend")
    if kept is None or kept[0] != seen:
        kept = seen, Review.of(state.space, state.setup.basis, seen, state.seed)
    put(state, "review of blend", kept)
    return kept[1]
