"""The first trials: vectors chosen so that few of them tell the levels of the hierarchy apart."""

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.curves import Curves
from perfmodel.hierarchy import Hierarchy, Level
from perfmodel.knapsack import Allocator
from rankspace import RankVector, SearchSpace

CONTRAST = 0.8
"""Standard deviation of the pretended utilities' logarithm, per level."""


def design_size(trials: int, layers: int) -> int:
    """How many of ``trials`` go to the design, uniform included: a quarter, 3 to 16."""
    return int(np.clip(min(trials // 4, 2 + layers // 2), 3, 16))


def design(
    space: SearchSpace, allocator: Allocator, count: int, seed: int
) -> tuple[RankVector, ...]:
    """Return ``count`` vectors, or fewer in a tiny space: uniform, a cheaper one, contrasts.

    A contrast is the exact optimum of utilities that somebody might have: random factors on
    kinds, on blocks and on single layers. Contrasts come in pairs, the second with every factor
    inverted, so that a group rich in one is poor in the other.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2**32 - 1]))
    curves, hierarchy = Curves.of(space), Hierarchy.of(space)
    found = {space.uniform(): None, _thrifty(space, allocator, curves): None}
    for _ in range(4 * count):
        factors = _factors(hierarchy, rng)
        for sign in (1.0, -1.0):
            tables = np.exp(sign * factors)[:, None] * curves.table.mean(axis=1)
            found[allocator.best(tables)] = None
        if len(found) >= count:
            break
    return tuple(found)[:count]


def _factors(hierarchy: Hierarchy, rng: np.random.Generator) -> Floats:
    """Logarithms of pretended worth per layer, ``(layers,)``."""
    factors = np.zeros(len(hierarchy.groups[Level.OWN]))
    for level in (Level.KIND, Level.BLOCK, Level.OWN):
        draw = CONTRAST * rng.standard_normal((hierarchy.sizes[level], 1))
        factors += hierarchy.spread(level, draw)[:, 0]
    return factors


def _thrifty(space: SearchSpace, allocator: Allocator, curves: Curves) -> RankVector:
    """Return the even vector at half the free budget: what parameters are worth at all."""
    tables = np.repeat(curves.table.mean(axis=1)[None], len(space.layers), axis=0)
    least = space.parameters(space.cheapest())
    return allocator.best(tables, spare=(space.max_parameters - least) // 2)
