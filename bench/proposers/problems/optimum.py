"""The best vector of a landscape: exact where the layers add up, else of a strong search."""

from collections.abc import Iterable

import numpy as np

from bench.proposers.problems.landscapes import Landscape
from perfmodel import allocate
from perfmodel.arrays import Floats, Integers
from rankspace import RankVector, SearchSpace

STARTS = 3
"""Random starts, beside the uniform vector and what linearising the landscape gives."""

PAIRS = 200
"""Pairs of single changes that are tried per step, the most promising first."""

ROUNDS = 3
"""Allocations of utilities read off around the latest vector."""

SURE = 1e-12
"""Relative gain below which a step is rounding."""


def optimum(space: SearchSpace, landscape: Landscape) -> RankVector:
    """Return the best vector within the budget.

    Exact by ``perfmodel.allocate`` where ``landscape.tables`` exist. Otherwise the best local
    optimum over single changes and promising pairs of changes, from several starts.
    """
    if landscape.tables is not None:
        return allocate(space, landscape.tables)
    starts = (*_linearised(space, landscape), *_random(space))
    ends = [climb(space, landscape, levels_of(space, start)) for start in starts]
    best = int(np.argmax(landscape.scores(np.stack(ends))))
    return vector_at(space, ends[best])


def climb(space: SearchSpace, landscape: Landscape, levels: Integers) -> Integers:
    """Step to the best neighbour until none is better, ``(layers,)`` to ``(layers,)``."""
    while True:
        here = float(landscape.scores(levels[None])[0])
        around = _neighbours(space, landscape, levels, here)
        scores = landscape.scores(around)
        at = int(np.argmax(scores))
        if scores[at] <= here + SURE * max(1.0, abs(here)):
            return levels
        levels = around[at]


def levels_of(space: SearchSpace, vector: RankVector) -> Integers:
    """Index of each rank in the ranks of ``space``, ``(layers,)``; no layer is fixed."""
    return np.array([space.ranks.index(rank) for rank in vector.ranks], dtype=np.int64)


def vector_at(space: SearchSpace, levels: Integers) -> RankVector:
    return RankVector(tuple(space.ranks[level] for level in levels.tolist()))


def _linearised(space: SearchSpace, landscape: Landscape) -> Iterable[RankVector]:
    vector = space.uniform()
    for _ in range(ROUNDS):
        yield vector
        vector = allocate(space, _conditional(landscape, levels_of(space, vector), space))


def _random(space: SearchSpace) -> Iterable[RankVector]:
    """Draw vectors within the budget, from a stream that no proposer shares."""
    rng = np.random.default_rng(0)
    for _ in range(STARTS):
        levels = rng.integers(len(space.ranks), size=len(space.layers))
        while not space.affords(vector_at(space, levels)):
            levels[rng.choice(np.flatnonzero(levels))] -= 1
        yield vector_at(space, levels)


def _conditional(landscape: Landscape, levels: Integers, space: SearchSpace) -> Floats:
    """Score of every rank of every layer while the others stay, ``(layers, R)``."""
    layers, ranks = len(levels), len(space.ranks)
    changed = np.repeat(levels[None], layers * ranks, axis=0)
    changed[np.arange(layers * ranks), np.repeat(np.arange(layers), ranks)] = np.tile(
        np.arange(ranks), layers
    )
    return landscape.scores(changed).reshape(layers, ranks)


def _neighbours(
    space: SearchSpace, landscape: Landscape, levels: Integers, here: float
) -> Integers:
    """Single changes, and the pairs of them that would gain most if they added up, ``(n, L)``."""
    layers, ranks = len(levels), len(space.ranks)
    gains = (_conditional(landscape, levels, space) - here).ravel()
    axis, costs = np.array(space.ranks), np.array(space.costs)
    prices = (costs[:, None] * (axis - axis[levels][:, None])).ravel()
    slack = space.max_parameters - int(costs @ axis[levels])
    sums = gains[:, None] + gains
    sums[prices[:, None] + prices > slack] = -np.inf
    owner = np.repeat(np.arange(layers), ranks)
    sums[owner[:, None] > owner] = -np.inf  # each pair once
    same = owner[:, None] == owner
    sums[same & ~np.eye(len(gains), dtype=np.bool_)] = -np.inf
    sums[np.diag_indices(len(gains))] = np.where(prices <= slack, gains, -np.inf)
    count = min(PAIRS, sums.size)
    flat = np.argpartition(-sums, count - 1, axis=None)[:count]
    first, second = np.unravel_index(flat[np.isfinite(sums.ravel()[flat])], sums.shape)
    around = np.repeat(levels[None], len(first), axis=0)
    rows = np.arange(len(first))
    around[rows, owner[first]] = first % ranks
    around[rows, owner[second]] = second % ranks
    return around
