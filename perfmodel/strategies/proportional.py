"""Proportional allocation: ranks in the proportion of given weights, exactly within the budget."""

import numpy as np

from perfmodel.allocation.free_prices import FreePrices, largest
from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from rankspace import RankVector, SearchSpace


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
    gaps = np.array(space.table, dtype=np.float64) - ideal[:, None]
    nearest = allocator.best(-costs[:, None] * gaps**2)
    return _filled(space, nearest, ideal)


def _ideal(space: SearchSpace, weights: Floats, capacity: int) -> Floats:
    """Unrounded ranks that cost ``capacity`` on the free layers, ``(layers,)``."""
    free, ideal = space.free_layers, np.zeros(len(space.layers))
    highest = np.array([space.choices(i)[-1] for i in free], dtype=np.float64)
    shares = weights[free] if weights[free].any() else np.ones(len(free))
    prices = FreePrices.of(space)

    def ranks(factor: float) -> Floats:
        return np.clip(factor * shares, space.ranks[0], highest)

    most = space.ranks[-1] / float(np.min(shares[shares > 0.0], initial=np.inf))
    ideal[free] = ranks(largest(lambda factor: prices.total(ranks(factor)) <= capacity, most))
    return ideal


def _filled(space: SearchSpace, vector: RankVector, ideal: Floats) -> RankVector:
    """Raise free layers by single steps while the budget allows, the most rounded-down first."""
    ranks, left = list(vector.ranks), space.max_parameters - space.parameters(vector)
    free = space.free_layers
    while True:
        steps = {i: _next_rank(space, i, ranks[i]) for i in free}
        prices = {i: space.price(i, rank) - space.price(i, ranks[i]) for i, rank in steps.items()}
        fitting = [i for i, rank in steps.items() if rank and prices[i] <= left]
        if not fitting:
            return RankVector(tuple(ranks))
        layer = max(fitting, key=lambda i: ideal[i] - ranks[i])
        left -= prices[layer]
        ranks[layer] = steps[layer]


def _next_rank(space: SearchSpace, layer: int, rank: int) -> int:
    """Return the next larger rank the layer may take; 0 if there is none."""
    return next((larger for larger in space.choices(layer) if larger > rank), 0)
