"""``random``: vectors drawn on the budget."""

from collections.abc import Collection

import numpy as np

from perfmodel.allocation.random_vectors import ATTEMPTS, random_vector, spare_vectors
from perfmodel.state import ModelState
from perfmodel.strategies.observed import Observed
from rankspace import Proposal, RankVector


class Random(Observed):
    """Draws every rank uniformly and repairs onto the budget; never twice the same vector."""

    source = "Bergstra & Bengio 2012, repaired onto the budget"

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer a vector that was neither tried nor runs, while the space has one."""
        vector = fresh_vector(state, pending, rng)
        return Proposal(vector, None, None, "Random: drawn uniformly, repaired onto the budget")


def fresh_vector(
    state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
) -> RankVector:
    """Draw until a vector is new.

    Only when the space has no new one left, return one that does not run; else any.
    """
    for _ in range(ATTEMPTS):
        vector = random_vector(state.space, rng)
        if vector not in pending and vector not in state.tried:
            return vector
    for taken in (state.tried | set(pending), set(pending)):
        spare = spare_vectors(state.space, taken, 1, rng)
        if spare:
            return spare[0]
    return vector
