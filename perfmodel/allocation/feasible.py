"""The feasible vectors of a space: which ones they are and, if they are few, all of them."""

import numpy as np

from perfmodel.arrays import Integers
from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput

FEW = 10_000
"""Feasible vectors up to which a space is listed; in a larger one a random vector is new."""


def is_feasible(space: SearchSpace, vector: RankVector) -> bool:
    """Whether ``vector`` has allowed ranks and fits the budget."""
    try:
        space.check(vector)
    except InvalidInput:
        return False
    return True


def every_vector(space: SearchSpace, at_most: int = FEW) -> tuple[RankVector, ...] | None:
    """List every feasible vector; None if there are more than ``at_most``.

    Layer by layer, each partial vector affords the cheapest rest, so their number only grows.
    """
    paid = np.zeros(1, dtype=np.int64)
    trail: list[tuple[Integers, Integers]] = []
    rest = space.parameters(space.cheapest())
    for choices, prices in zip(space.options, space.prices, strict=True):
        rest -= prices[0]
        sums = paid[:, None] + np.array(prices, dtype=np.int64)
        parents, columns = np.nonzero(sums <= space.max_parameters - rest)
        if len(parents) > at_most:
            return None
        paid = sums[parents, columns]
        trail.append((parents, np.array(choices, dtype=np.int64)[columns]))
    return _unwind(trail)


def _unwind(trail: list[tuple[Integers, Integers]]) -> tuple[RankVector, ...]:
    at = np.arange(len(trail[-1][0]))
    reverse = []
    for parents, ranks in reversed(trail):
        reverse.append(ranks[at])
        at = parents[at]
    return tuple(RankVector(tuple(row)) for row in np.stack(reverse[::-1], axis=1).tolist())
