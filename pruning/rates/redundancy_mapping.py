"""LoSA's mapping from how redundant blocks are to rates."""

import math
from collections.abc import Mapping

from pruning.rates.rates import Rates, Sizes, within

DELTAS = ((0.5, 0.01), (0.6, 0.02), (1.0, 0.03))
"""Up to which ratio its authors let a rate be how far from it."""


def published_delta(ratio: float) -> float:
    """Return how far a rate may be from ``ratio`` in LoSA's code, which stops at 0.7."""
    return next(delta for limit, delta in DELTAS if ratio <= limit)


def by_redundancy(
    ratio: float, sizes: Sizes, redundancies: Mapping[int, float], delta: float
) -> Rates:
    """Minimise ``sum_i n_i exp(-R_i) s_i`` at ``ratio`` overall, each ``s_i`` within ``delta``.

    LoSA (arXiv 2502.14816), which hands this linear programme to SLSQP, of blocks of one size
    ``n``. Both sums are by size here: if only the ratio were, a weight of a small block would cost
    more than one of a large block, and sizes, which differ more than ``exp(-R)`` does, would decide
    alone. The exact solution is that of a fractional knapsack: the most redundant blocks lose
    ``ratio + delta``, the least redundant ``ratio - delta``, one of them what is left over.

    Raises:
        InvalidInput: A rate leaves 0 to 1.
    """
    rates = dict.fromkeys(sizes, ratio - delta)
    spare = delta * sum(sizes.values())
    for index in sorted(sizes, key=lambda i: (math.exp(-redundancies[i]), i)):
        share = min(2.0 * delta, spare / sizes[index])
        rates[index] += share
        spare -= share * sizes[index]
    return within(rates)
