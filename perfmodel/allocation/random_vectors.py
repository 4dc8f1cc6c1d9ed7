"""Random rank vectors that use the budget: the control arm, and the reference of the prior."""

from collections.abc import Collection

import numpy as np

from perfmodel.allocation.feasible import every_vector
from rankspace import RankVector, SearchSpace

ATTEMPTS = 50
"""Draws in a row that are not new before the vectors on the budget are taken to be used up."""


def random_vectors(space: SearchSpace, count: int, seed: int) -> tuple[RankVector, ...]:
    """Draw ``count`` distinct vectors on the budget; below it, or fewer, if there are no more."""
    rng = np.random.default_rng(seed)
    found: dict[RankVector, None] = {}
    misses = 0
    while len(found) < count and misses < ATTEMPTS:
        vector = random_vector(space, rng)
        misses = misses + 1 if vector in found else 0
        found[vector] = None
    return (*found, *spare_vectors(space, found, count - len(found), rng))


def spare_vectors(
    space: SearchSpace, taken: Collection[RankVector], count: int, rng: np.random.Generator
) -> tuple[RankVector, ...]:
    """Draw ``count`` distinct vectors that are not ``taken``, whether they use the budget or not.

    Fewer only if the space has no more, or is too large to list and ``ATTEMPTS`` draws in a row
    were not new.
    """
    if count < 1:
        return ()
    listed = every_vector(space)
    if listed is not None:
        left = [vector for vector in listed if vector not in taken]
        return tuple(left[at] for at in rng.permutation(len(left))[:count])
    found: dict[RankVector, None] = {}
    misses = 0
    while len(found) < count and misses < ATTEMPTS:
        levels = random_levels(space, rng)
        _lower(space, levels, rng)
        vector = vector_of(space, levels)
        misses = misses + 1 if vector in found or vector in taken else 0
        if not misses:
            found[vector] = None
    return tuple(found)


def another_vector(
    space: SearchSpace, taken: Collection[RankVector], rng: np.random.Generator
) -> RankVector | None:
    """Draw one on the budget that is not ``taken``; below it, or None, if there are no more."""
    for _ in range(ATTEMPTS):
        vector = random_vector(space, rng)
        if vector not in taken:
            return vector
    return next(iter(spare_vectors(space, taken, 1, rng)), None)


def random_vector(space: SearchSpace, rng: np.random.Generator) -> RankVector:
    """Draw every free rank uniformly, then repair onto the budget by random single steps."""
    return repair(space, random_levels(space, rng), rng)


def random_levels(space: SearchSpace, rng: np.random.Generator) -> list[int]:
    """Draw an index into the choices of each layer, as uniformly as one draw among all ranks is."""
    drawn = rng.integers(len(space.ranks), size=len(space.layers)).tolist()
    return [
        level * len(choices) // len(space.ranks)
        for level, choices in zip(drawn, space.options, strict=True)
    ]


def repair(space: SearchSpace, levels: list[int], rng: np.random.Generator) -> RankVector:
    """Step random free layers down until the budget holds, then up until it is used.

    Args:
        space: The space.
        levels: Index into the choices per layer; beyond them it counts as the highest.
        rng: Decides which layers step.
    """
    left = _lower(space, levels, rng)
    prices, least = space.prices, space.least_step
    for layer in rng.permutation(space.free_layers * (len(space.ranks) - 1)).tolist():
        if left < least:
            break
        if levels[layer] + 1 < len(prices[layer]):
            step = prices[layer][levels[layer] + 1] - prices[layer][levels[layer]]
            if step <= left:
                left -= step
                levels[layer] += 1
    return vector_of(space, levels)


def _lower(space: SearchSpace, levels: list[int], rng: np.random.Generator) -> int:
    """Step random free layers down, in place, until the budget holds; return what it leaves."""
    levels[:] = [min(level, len(of) - 1) for level, of in zip(levels, space.options, strict=True)]
    left = space.max_parameters - space.parameters(vector_of(space, levels))
    prices = space.prices
    down = [i for i in space.free_layers if levels[i] > 0]
    while left < 0:
        at = rng.integers(len(down))
        layer = down[at]
        levels[layer] -= 1
        left += prices[layer][levels[layer] + 1] - prices[layer][levels[layer]]
        if not levels[layer]:
            down.pop(at)
    return left


def vector_of(space: SearchSpace, levels: list[int]) -> RankVector:
    """Turn indices into ranks."""
    return RankVector(
        tuple(choices[level] for choices, level in zip(space.options, levels, strict=True))
    )
