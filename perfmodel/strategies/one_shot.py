"""OneShot: ranks from what is known before any trial, with uniform beside them for comparison."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.reasons import moves
from perfmodel.state import ModelState
from perfmodel.strategies.memory import once
from perfmodel.strategies.observed import Observed, scored_vectors
from perfmodel.strategies.proportional import proportional
from rankspace import Context, Proposal, RankVector, SearchSpace


@dataclass(frozen=True)
class OneShot(Observed):
    """Alternates between its one vector and uniform: no search, but a measured comparison.

    Attributes:
        source: Where the method comes from, one line.
        name: What it goes by, for people.
        weights: Layer weights, ``(layers,)``.
    """

    source: str
    name: str
    weights: Callable[[SearchSpace, Context], Floats]

    def vector(self, state: ModelState) -> RankVector:
        """The one vector, computed once per study."""
        return once(state, self.name, lambda: self._allocate(state))

    def _allocate(self, state: ModelState) -> RankVector:
        weights = self.weights(state.space, state.context)
        return proportional(state.space, weights, state.setup.allocator)

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer whichever of the two has fewer trials, its own first, even while it runs."""
        own, uniform = self.vector(state), state.setup.uniform
        seen = [*(seen.rank_vector for seen in state.observations), *pending]
        vector = own if seen.count(own) <= seen.count(uniform) else uniform
        shift = moves(state.space, uniform, vector)
        mean, std = self.predict(state, [vector])
        if not state.scored:
            return Proposal(vector, None, None, f"{self.name}: {shift}")
        return Proposal(vector, float(mean[0]), float(std[0]), f"{self.name}: {shift}")

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """Its own vector, uniform, and whatever else was tried, best by mean score first.

        One that was never tried counts as average; one whose trials all failed is left out.
        """
        failed = state.tried - {seen.rank_vector for seen in state.scored}
        known = dict.fromkeys((self.vector(state), state.setup.uniform, *scored_vectors(state)))
        worthy = [vector for vector in known if vector not in failed] or [state.setup.uniform]
        mean, _ = self.predict(state, worthy)
        return tuple(worthy[at] for at in np.argsort(-mean, kind="stable")[:count])
