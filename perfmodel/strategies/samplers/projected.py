"""Projected: a generic optimiser that knows no budget, repaired onto it."""

from abc import ABC, abstractmethod
from collections.abc import Collection

import numpy as np

from perfmodel.state import ModelState
from perfmodel.strategies.observed import Observed
from perfmodel.strategies.random import fresh_vector
from perfmodel.strategies.samplers.encoding import OrdinalEncoding, Point
from rankspace import Proposal, RankVector

ATTEMPTS = 5
"""Points asked for, each repaired, before a new vector is drawn at random."""


class Projected(ABC, Observed):
    """Begins at uniform; the optimiser is told the repaired vectors, which are what was tried."""

    name: str

    @abstractmethod
    def ask(
        self,
        state: ModelState,
        encoding: OrdinalEncoding,
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> Point:
        """Return the optimiser's next point; there is at least one free layer."""

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer uniform first, then the optimiser's point repaired onto the budget."""
        encoding, uniform = OrdinalEncoding.of(state.space), state.setup.uniform
        taken = state.tried | set(pending)
        if uniform not in taken:
            return Proposal(uniform, None, None, f"{self.name}: begins at the uniform vector")
        for _ in range(ATTEMPTS if encoding.free else 0):
            vector = encoding.repaired(self.ask(state, encoding, pending, rng), rng)
            if vector not in taken:
                return Proposal(vector, None, None, f"{self.name}: asked, repaired onto the budget")
        vector = fresh_vector(state, pending, rng)
        return Proposal(vector, None, None, f"{self.name}: asked nothing new, drawn at random")
