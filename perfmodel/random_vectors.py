"""Random rank vectors that use the budget: the control arm, and the reference of the prior."""

import numpy as np

from rankspace import RankVector, SearchSpace

ATTEMPTS = 50
"""Draws per wanted vector before a small space is taken to be exhausted."""


def random_vectors(space: SearchSpace, count: int, seed: int) -> tuple[RankVector, ...]:
    """Draw up to ``count`` distinct vectors on the budget; fewer only if the space has fewer."""
    rng = np.random.default_rng(seed)
    found: dict[RankVector, None] = {}
    for _ in range(ATTEMPTS * count):
        if len(found) == count:
            break
        found[random_vector(space, rng)] = None
    return tuple(found)


def random_vector(space: SearchSpace, rng: np.random.Generator) -> RankVector:
    """Draw every free rank uniformly, then repair onto the budget by random single steps."""
    levels = rng.integers(len(space.ranks), size=len(space.layers))
    return repair(space, levels.tolist(), rng)


def repair(space: SearchSpace, levels: list[int], rng: np.random.Generator) -> RankVector:
    """Step random free layers down until the budget holds, then up until it is used.

    Args:
        space: The space.
        levels: Index into ``space.ranks`` per layer; ignored where the rank is fixed.
        rng: Decides which layers step.
    """
    ranks, costs = space.ranks, space.costs
    free = [i for i, layer in enumerate(space.layers) if layer.name not in space.fixed]
    left = space.max_parameters - space.parameters(vector_of(space, levels))
    while left < 0:
        down = [i for i in free if levels[i] > 0]
        layer = down[rng.integers(len(down))]
        levels[layer] -= 1
        left += costs[layer] * (ranks[levels[layer] + 1] - ranks[levels[layer]])
    for layer in rng.permutation(free * (len(ranks) - 1)).tolist():
        if levels[layer] + 1 < len(ranks):
            step = costs[layer] * (ranks[levels[layer] + 1] - ranks[levels[layer]])
            if step <= left:
                left -= step
                levels[layer] += 1
    return vector_of(space, levels)


def vector_of(space: SearchSpace, levels: list[int]) -> RankVector:
    """Turn indices into ranks, fixed layers keeping theirs."""
    return RankVector(
        tuple(
            space.fixed.get(layer.name, space.ranks[level])
            for layer, level in zip(space.layers, levels, strict=True)
        )
    )
