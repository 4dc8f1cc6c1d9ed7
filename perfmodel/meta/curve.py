"""The one curve that all layers of a finished study are taken to follow, up to its height.

It holds near the budget only, see ``SLACK``.
"""

from collections.abc import Sequence

import numpy as np

from perfmodel.allocation.free_prices import FreePrices, largest
from perfmodel.arrays import Floats
from rankspace import RankVector, SearchSpace

SLACK = 0.15
"""Share of the budget by which a vector may miss it. Scores are near-additive on one budget, not
across budgets (``docs/meta.md``)."""

LEAST_REACH = 0.5
"""Ranks between the lowest and the mean one, at least: a budget may leave no room above it."""


def mean_rank(space: SearchSpace) -> float:
    """The rank that every free layer has when the budget is spent evenly, at most the highest.

    What a layer's matrices cannot use costs nothing, and leaves more to the others.
    """
    free = space.free_layers
    if not free:
        return 0.0
    left = space.max_parameters - space.parameters(space.constant(0))
    if not space.parts:
        return float(min(left / sum(space.costs[i] for i in free), space.ranks[-1]))
    prices, even = FreePrices.of(space), np.ones(len(free))
    return largest(lambda rank: prices.total(rank * even) <= left, float(space.ranks[-1]))


def curve(space: SearchSpace, vectors: Sequence[RankVector], bend: float) -> Floats:
    """Utility of each layer's rank, ``(n, layers)``: 0 at the lowest rank, 1 at the mean rank."""
    ranks = np.array([vector.ranks for vector in vectors], dtype=np.float64)
    low = float(space.ranks[0])
    reach = max(mean_rank(space) - low, LEAST_REACH)
    return np.asarray(np.log1p(bend * np.maximum(ranks - low, 0.0) / reach) / np.log1p(bend))


def is_on_budget(space: SearchSpace, vector: RankVector) -> bool:
    return abs(space.parameters(vector) / space.max_parameters - 1.0) <= SLACK
