"""Modelled: a strategy whose predictions and leaders come from a regressor on the ranks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.reasons import moves
from perfmodel.state import ModelState
from perfmodel.strategies.candidates import Climb
from perfmodel.strategies.memory import remembered
from perfmodel.strategies.observed import Observed, scored_vectors
from perfmodel.strategies.random import fresh_vector
from perfmodel.strategies.training_set import TrainingSet
from rankspace import Proposal, RankVector


class Regressor(Protocol):
    """Learned from a TrainingSet."""

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score on its scale, from ``(n, d)``."""


R = TypeVar("R", bound=Regressor)


@dataclass(frozen=True)
class Fitted(Generic[R]):
    """A regressor and what it learned from."""

    trained: TrainingSet
    regressor: R

    def __call__(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, on the study's scale."""
        return self.trained.raised(*self.regressor.predict(self.trained.scaling(vectors)))


class Modelled(Observed, Generic[R]):
    """Fits once per result; below two results it knows no more than ``Observed``.

    Attributes:
        name: Of the strategy.
        begins: Trials before the regressor chooses: uniform, then random ones.
        climb: How its optimum is sought.
    """

    name: str
    begins: int
    climb: Climb

    def regressor(self, state: ModelState, trained: TrainingSet) -> R:
        """Learn from ``trained``."""
        raise NotImplementedError

    def choose(
        self,
        state: ModelState,
        fitted: Fitted[R],
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> tuple[RankVector, str] | None:
        """Return a vector that is neither tried nor pending, and why; None if none was found."""
        raise NotImplementedError

    def fitted(self, state: ModelState) -> Fitted[R] | None:
        """Fit once per set of observations; None while there is too little to learn from."""
        return remembered(state, self.name, lambda: self._fit(state))

    def _fit(self, state: ModelState) -> Fitted[R] | None:
        trained = TrainingSet.of(state)
        return None if trained is None else Fitted(trained, self.regressor(state, trained))

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer the regressor's choice; before it has begun, or if it has none, a random one."""
        begun = len(state.observations) + len(pending) >= self.begins
        fitted = self.fitted(state) if begun else None
        chosen = self.choose(state, fitted, pending, rng) if fitted else None
        if chosen is None:
            chosen = self.opening(state, pending, rng), "one of the first vectors"
            if fitted:
                chosen = fresh_vector(state, pending, rng), "nothing new was found, drawn at random"
        return self._proposal(state, fitted, *chosen)

    def opening(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> RankVector:
        """Return a vector to begin with: uniform, then random ones."""
        uniform = state.setup.uniform
        if uniform not in state.tried and uniform not in pending:
            return uniform
        return fresh_vector(state, pending, rng)

    def _proposal(
        self, state: ModelState, fitted: Fitted[R] | None, vector: RankVector, why: str
    ) -> Proposal:
        shift = moves(state.space, state.setup.uniform, vector)
        reason = f"{self.name}: {why}; {shift}"
        if fitted is None:
            return Proposal(vector, None, None, reason)
        mean, std = fitted([vector])
        return Proposal(vector, float(mean[0]), float(std[0]), reason)

    def predict(self, state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each."""
        fitted = self.fitted(state)
        return fitted(vectors) if fitted else super().predict(state, vectors)

    def ordered(self, state: ModelState) -> tuple[RankVector, ...]:
        """Feasible vectors with a score, best predicted first; perhaps none."""
        tried = scored_vectors(state)
        if not tried:
            return ()
        mean, _ = self.predict(state, tried)
        return tuple(tried[at] for at in np.argsort(-mean, kind="stable"))

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """The regressor's optimum as far as climbing finds it, then the trials by its mean."""
        tried = self.ordered(state) or (state.setup.uniform,)
        fitted = self.fitted(state)
        if fitted is None:
            return tried[:count]
        optimum = remembered(state, f"{self.name} optimum", lambda: self._optimum(state, fitted))
        return tuple(dict.fromkeys((optimum, *tried)))[:count]

    def _optimum(self, state: ModelState, fitted: Fitted[R]) -> RankVector:
        start = self.ordered(state)[: self.climb.beam] or (state.setup.uniform,)
        rng = np.random.default_rng(state.seed)
        found = self.climb(state, start, (), lambda vectors: fitted(vectors)[0], rng)
        return start[0] if found is None else found
