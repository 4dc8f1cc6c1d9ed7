"""Families of problems: from a number of layers and a seed to one problem."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from bench.proposers.problems.draws import (
    RANKS,
    heavy_worth,
    plain_layers,
    rising_curves,
    scaled,
    uneven_space,
)
from bench.proposers.problems.held_out import diverging, neighbours, peaks, worst_few
from bench.proposers.problems.landscapes import Bottleneck, Interacting, Separable
from bench.proposers.problems.noise import Gaussian, HeavyTailed, Multiplicative
from bench.proposers.problems.problem import Problem, spread
from bench.proposers.problems.shapes import RISING, curves, harm, hump
from bench.proposers.problems.surfaces import surfaces
from perfmodel.arrays import Floats
from rankspace import Layer, SearchSpace
from rankspace.errors import InvalidInput

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
KIND_COSTS = np.array([6912, 6912, 6912, 6912, 12544, 12544, 12544])
BLOCK_KIND_GAPS = (25.0, 35.0)


def reference(layers: int, seed: int) -> Problem:
    """``-sum w exp(-r / tau)``, w Pareto(1.2): the problems the peers were first measured on.

    The one family whose curves are those of the model's basis. Uniform rank 8 scores -1.
    """
    rng = np.random.default_rng(1000 + seed)
    worth = rng.pareto(1.2, layers) + 0.05
    tau = rng.uniform(2.0, 8.0, layers)
    ranks = np.arange(2, 13, 2)
    losses = worth[:, None] * np.exp(-ranks / tau[:, None])
    space = SearchSpace(
        plain_layers(np.ones(layers, dtype=np.int64)), tuple(ranks.tolist()), 8 * layers
    )
    return Problem(space, Separable(-losses / losses[:, 3].sum()), Multiplicative(seed, 0.005))


def separable(layers: int, seed: int) -> Problem:
    """Rising curves of five shapes mixed over the layers, heavy-tailed worth, unequal costs."""
    rng = np.random.default_rng([2, layers, seed])
    space = uneven_space(layers, rng)
    return scaled(
        space, Separable(heavy_worth(layers, rng) * rising_curves(layers, rng)), rng, seed
    )


def interactions(layers: int, seed: int) -> Problem:
    """``separable`` plus products of pairs of layers that vary 0.4 to 1 times as much."""
    rng = np.random.default_rng([3, layers, seed])
    space = uneven_space(layers, rng)
    worth, unit = heavy_worth(layers, rng), rising_curves(layers, rng)
    left, right = (rng.permutation(layers) for _ in range(2))
    kept = left != right
    left, right = left[kept], right[kept]
    strength = rng.choice([-1.0, 1.0], len(left)) * np.sqrt(worth[left, 0] * worth[right, 0])
    alone = spread(space, Separable(worth * unit))
    pairs = spread(space, Interacting(0.0 * unit, unit, left, right, strength))
    strength = strength * rng.uniform(0.4, 1.0) * alone / pairs
    return scaled(space, Interacting(worth * unit, unit, left, right, strength), rng, seed)


def bottleneck(layers: int, seed: int) -> Problem:
    """The 4-norm of what the layers still lack: the worst layer dominates."""
    rng = np.random.default_rng([4, layers, seed])
    space = uneven_space(layers, rng)
    damage = rng.lognormal(0.0, 0.5, (layers, 1))
    return scaled(
        space, Bottleneck(damage * (1.0 - 0.9 * rising_curves(layers, rng)), 4.0), rng, seed
    )


def non_monotone(layers: int, seed: int) -> Problem:
    """``separable``, but 3 layers in 10 peak early or are hurt by every rank."""
    rng = np.random.default_rng([5, layers, seed])
    space = uneven_space(layers, rng)
    hurt = rng.random((layers, 1)) < 0.3
    unit = np.where(hurt, curves((hump, harm), RANKS, layers, rng), rising_curves(layers, rng))
    return scaled(space, Separable(heavy_worth(layers, rng) * unit), rng, seed)


def flat(layers: int, seed: int) -> Problem:
    """No rank matters: there is nothing to find, and regret is undefined."""
    rng = np.random.default_rng([6, layers, seed])
    return Problem(
        uneven_space(layers, rng), Separable(np.zeros((layers, len(RANKS)))), Gaussian(seed, 1.0)
    )


def heavy_noise(layers: int, seed: int) -> Problem:
    """``separable`` under Student's t of 2 to 3 degrees of freedom; 4 % of the trials diverge."""
    clean = separable(layers, seed)
    freedom = float(np.random.default_rng([7, layers, seed]).uniform(2.0, 3.0))
    noise = HeavyTailed(seed, clean.noise.deviation, freedom)
    return Problem(clean.space, clean.landscape, noise)


def block_kind(layers: int, seed: int) -> Problem:
    """Blocks times 7 kinds of matrix, multiplicative; half of the blocks pruned and cheaper.

    The shape goes with the kind, its scale with the matrix, whose worth also has its own factor.
    """
    rng = np.random.default_rng([8, layers, seed])
    blocks = layers // len(KINDS)
    kept = np.where(rng.random((blocks, 1)) < 0.5, 0.7, 1.0)
    costs = (KIND_COSTS * kept).astype(np.int64)
    worth = rng.lognormal(0.0, 0.7, 7) * rng.lognormal(0.0, 0.8, (blocks, 1))
    worth = worth * rng.lognormal(0.0, 0.25, (blocks, 7))
    unit = np.stack([curves((shape,), RANKS, blocks, rng) for shape in _kind_shapes(rng)], axis=1)
    space = SearchSpace(
        tuple(
            Layer(f"model.layers.{block}.{kind}", int(costs[block, at]), block, kind)
            for block in range(blocks)
            for at, kind in enumerate(KINDS)
        ),
        RANKS,
        int(4 * costs.sum()),
    )
    landscape = Separable((worth[:, :, None] * unit).reshape(layers, len(RANKS)))
    return scaled(space, landscape, rng, seed, BLOCK_KIND_GAPS)


@dataclass(frozen=True)
class Family:
    """A kind of problem.

    Attributes:
        make: Problem of so many layers and of a seed.
        dimensions: Numbers of layers it is meant for; 0 where each problem has its own.
    """

    make: Callable[[int, int], Problem]
    dimensions: tuple[int, ...]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "reference": Family(reference, (32, 128)),
        "separable": Family(separable, (8, 32, 128, 224)),
        "interactions": Family(interactions, (8, 32)),
        "bottleneck": Family(bottleneck, (8, 32)),
        "non-monotone": Family(non_monotone, (8, 32)),
        "flat": Family(flat, (32,)),
        "heavy-noise": Family(heavy_noise, (32,)),
        "block-kind": Family(block_kind, (56, 224)),
        "surfaces": Family(surfaces, (0,)),
        "neighbours": Family(neighbours, (8, 32)),
        "peaks": Family(peaks, (8, 32)),
        "worst-few": Family(worst_few, (8, 32)),
        "diverging": Family(diverging, (8, 32)),
    }
)


@lru_cache(maxsize=512)
def problem(family: str, layers: int, seed: int) -> Problem:
    """Return the problem ``seed`` of ``family``, the same for every arm.

    Raises:
        InvalidInput: An unknown family.
    """
    if family not in FAMILIES:
        raise InvalidInput("families", family, "unknown", fix=f"use some of {list(FAMILIES)}")
    return FAMILIES[family].make(layers, seed)


def _kind_shapes(rng: np.random.Generator) -> tuple[Callable[..., Floats], ...]:
    return tuple(RISING[at] for at in rng.integers(len(RISING), size=len(KINDS)))
