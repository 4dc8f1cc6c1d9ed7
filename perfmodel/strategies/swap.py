"""``swap``: local search from the uniform vector, moving ranks between layers."""

from collections.abc import Collection

import numpy as np

from perfmodel.allocation.feasible import is_feasible
from perfmodel.allocation.random_vectors import ATTEMPTS, repair
from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from perfmodel.strategies.observed import Observed
from perfmodel.strategies.random import fresh_vector
from rankspace import Proposal, RankVector, SearchSpace

LAYERS_PER_MOVE = 16
"""One extra move per this many layers, on average."""


class Swap(Observed):
    """(1+1) evolution strategy on the budget: keep the best seen, mutate it by swaps."""

    source = "(1+1)-ES, Rechenberg 1973; moves after the peers benchmark"

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer the uniform vector first, then a mutant of the best vector seen."""
        uniform = state.setup.uniform
        if uniform not in state.tried and uniform not in pending:
            return Proposal(uniform, None, None, "Swap: begins at the uniform vector")
        best = best_seen(state)
        for _ in range(ATTEMPTS):
            vector = mutant(state.space, best, rng)
            if vector not in pending and vector not in state.tried:
                return Proposal(vector, None, None, _reason(state, best, vector))
        vector = fresh_vector(state, pending, rng)
        return Proposal(vector, None, None, "Swap: no new neighbour is left, drawn at random")


def best_seen(state: ModelState) -> RankVector:
    """Return the feasible vector with the highest score; uniform when none was scored."""
    for at in map(int, np.argsort(-comparable_scores(state), kind="stable")):
        if is_feasible(state.space, state.scored[at].rank_vector):
            return state.scored[at].rank_vector
    return state.setup.uniform


def mutant(space: SearchSpace, vector: RankVector, rng: np.random.Generator) -> RankVector:
    """Raise a few random layers by one step and lower as many others; repair onto the budget."""
    free = space.free_layers
    levels = [of.index(rank) for of, rank in zip(space.options, vector.ranks, strict=True)]
    tops = [len(of) - 1 for of in space.options]
    for _ in range(1 + int(rng.poisson(len(free) / LAYERS_PER_MOVE))):
        _step(levels, [i for i in free if levels[i] < tops[i]], 1, rng)
        _step(levels, [i for i in free if levels[i] > 0], -1, rng)
    return repair(space, levels, rng)


def _step(levels: list[int], movable: list[int], by: int, rng: np.random.Generator) -> None:
    if movable:
        levels[movable[rng.integers(len(movable))]] += by


def _reason(state: ModelState, best: RankVector, vector: RankVector) -> str:
    moved = sum(a != b for a, b in zip(best.ranks, vector.ranks, strict=True))
    base = "the uniform vector" if best == state.setup.uniform else "the best vector so far"
    return f"Swap: {base} with {moved} ranks changed"
