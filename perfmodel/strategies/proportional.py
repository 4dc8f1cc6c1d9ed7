"""Proportional allocation: ranks in the proportion of given weights, exactly within the budget."""

import numpy as np

from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from rankspace import RankVector, SearchSpace

HALVINGS = 100
"""Of the interval that holds the common factor; ends at the precision of a float."""


def proportional(space: SearchSpace, weights: Floats, allocator: Allocator) -> RankVector:
    """Return the vector closest to ``weights`` times a common factor that spends the budget.

    The factor is such that the unrounded ranks, clipped to the allowed ones, cost the budget; the
    allowed vector with the smallest squared distance, weighted by parameters per rank, is found
    exactly; what it leaves is spent on the layers that rounding took most from.

    Args:
        space: The space.
        weights: Non-negative, ``(layers,)``; those of fixed layers are ignored. All 0 means equal.
        allocator: Of the space.
    """
    ideal = _ideal(space, weights, allocator.capacity)
    costs = np.array(space.costs, dtype=np.float64)
    gaps = np.array(space.ranks, dtype=np.float64) - ideal[:, None]
    nearest = allocator.best(-costs[:, None] * gaps**2)
    return _filled(space, nearest, ideal)


def _ideal(space: SearchSpace, weights: Floats, capacity: int) -> Floats:
    """Unrounded ranks that cost ``capacity`` on the free layers, ``(layers,)``."""
    free = space.free_layers
    costs = np.array(space.costs, dtype=np.float64)[free]
    shares = weights[free] if weights[free].any() else np.ones(len(free))

    def ranks(factor: float) -> Floats:
        return np.clip(factor * shares, space.ranks[0], space.ranks[-1])

    low, high = 0.0, space.ranks[-1] / float(np.min(shares[shares > 0.0], initial=np.inf))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        fits = float(costs @ ranks(middle)) <= capacity
        low, high = (middle, high) if fits else (low, middle)
    ideal = np.zeros(len(space.layers))
    ideal[free] = ranks(low)
    return ideal


def _filled(space: SearchSpace, vector: RankVector, ideal: Floats) -> RankVector:
    """Raise free layers by single steps while the budget allows, the most rounded-down first."""
    ranks, left = list(vector.ranks), space.max_parameters - space.parameters(vector)
    free = space.free_layers
    while True:
        steps = {i: _next_rank(space, ranks[i]) for i in free}
        fitting = [
            i for i, rank in steps.items() if rank and space.costs[i] * (rank - ranks[i]) <= left
        ]
        if not fitting:
            return RankVector(tuple(ranks))
        layer = max(fitting, key=lambda i: ideal[i] - ranks[i])
        left -= space.costs[layer] * (steps[layer] - ranks[layer])
        ranks[layer] = steps[layer]


def _next_rank(space: SearchSpace, rank: int) -> int:
    """Return the next larger allowed rank; 0 if there is none."""
    return next((larger for larger in space.ranks if larger > rank), 0)
