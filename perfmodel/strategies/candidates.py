"""Candidates: feasible vectors for a regressor to choose from."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from perfmodel.allocation.random_vectors import random_vector
from perfmodel.arrays import Floats
from perfmodel.state import ModelState
from perfmodel.strategies.swap import mutant
from rankspace import RankVector

Worth: TypeAlias = Callable[[Sequence[RankVector]], Floats]
"""How much each vector is worth trying, ``(n,)``; the largest wins."""


def random_candidates(
    state: ModelState, count: int, rng: np.random.Generator
) -> tuple[RankVector, ...]:
    """Draw ``count`` vectors on the budget; fewer if some are equal."""
    return tuple(dict.fromkeys(random_vector(state.space, rng) for _ in range(count)))


def neighbours(
    state: ModelState, parents: Sequence[RankVector], count: int, rng: np.random.Generator
) -> tuple[RankVector, ...]:
    """Draw ``count`` mutants of feasible ``parents``, by turns; fewer if some are equal."""
    turns = (parents[at % len(parents)] for at in range(count))
    return tuple(dict.fromkeys(mutant(state.space, parent, rng) for parent in turns))


@dataclass(frozen=True)
class Climb:
    """Local search by swaps.

    Attributes:
        rounds: Of mutation.
        count: Mutants per round.
        beam: The best vectors so far, which are mutated.
    """

    rounds: int
    count: int
    beam: int = 4

    def __call__(
        self,
        state: ModelState,
        start: Sequence[RankVector],
        taken: Collection[RankVector],
        worth: Worth,
        rng: np.random.Generator,
    ) -> RankVector | None:
        """Return the best vector met that is not ``taken``; None if there was none.

        Args:
            state: For the space.
            start: Where to begin; feasible, at least one.
            taken: Vectors that may lead on but are not returned.
            worth: What is climbed.
            rng: Of the mutants.
        """
        values = dict(zip(start, worth(start).tolist(), strict=True))
        for _ in range(self.rounds):
            best = sorted(values, key=values.__getitem__, reverse=True)[: self.beam]
            fresh = [v for v in neighbours(state, best, self.count, rng) if v not in values]
            if fresh:
                values.update(zip(fresh, worth(fresh).tolist(), strict=True))
        new = [vector for vector in values if vector not in taken]
        return max(new, key=values.__getitem__, default=None)
