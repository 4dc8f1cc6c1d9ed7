"""Strategy: what every way of proposing must be able to do."""

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.state import ModelState
from rankspace import Proposal, RankVector


class Strategy(Protocol):
    """Pure functions of a ModelState; one instance serves every study."""

    @property
    def source(self) -> str:
        """Where the method comes from, one line."""

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer one vector that is not among ``pending`` (unless the space leaves no other)."""

    def predict(self, state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each."""

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """Up to ``count`` distinct feasible vectors worth verifying, best first, never none."""

    def economy(self, state: ModelState) -> RankVector | None:
        """The cheapest vector predicted to be no worse than uniform; None if none is known."""
