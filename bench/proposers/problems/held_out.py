"""Families on which no setting is fitted: what a search meets when its assumptions do not hold.

Settings of a strategy are chosen on ``families``. One rule was chosen with these in sight: that a
process takes turns with ``additive`` (seeds 5000 to 5007 of ``peaks``, ``worst_few``,
``neighbours`` and ``diverging``). Figures that are written down come from seeds that nobody has
looked at (``--first``).
"""

import numpy as np

from bench.proposers.problems.draws import (
    RANKS,
    heavy_worth,
    rising_curves,
    scaled,
    uneven_space,
)
from bench.proposers.problems.landscapes import Interacting, LogSumExp, Separable
from bench.proposers.problems.noise import HeavyTailed
from bench.proposers.problems.problem import Problem, spread
from perfmodel.arrays import Floats

GAPS = (20.0, 45.0)
"""What the optimum gains over uniform, in deviations of one trial: noise is not the trouble."""

HALF = 0.5
"""How much the pairs of neighbours vary, in units of what the layers do by themselves."""

DIVERGED = 0.1
"""Share of trials that end 20 to 200 deviations too low."""

NORMAL = 1e6
"""Degrees of freedom from which nobody tells Student's t from a Gaussian."""


def neighbours(layers: int, seed: int) -> Problem:
    """Each layer helps or hinders the next one: products of either sign, half as strong."""
    rng = np.random.default_rng([11, layers, seed])
    space = uneven_space(layers, rng)
    worth, unit = heavy_worth(layers, rng), rising_curves(layers, rng)
    left = np.arange(layers - 1)
    strength = rng.choice([-1.0, 1.0], layers - 1) * np.sqrt(worth[:-1, 0] * worth[1:, 0])
    alone = spread(space, Separable(worth * unit))
    pairs = spread(space, Interacting(0.0 * unit, unit, left, left + 1, strength))
    landscape = Interacting(worth * unit, unit, left, left + 1, HALF * strength * alone / pairs)
    return scaled(space, landscape, rng, seed, GAPS)


def peaks(layers: int, seed: int) -> Problem:
    """Each layer gains up to a rank of its own and loses from there on, up to all it had won."""
    rng = np.random.default_rng([12, layers, seed])
    space = uneven_space(layers, rng)
    unit = _peaked(rising_curves(layers, rng), rng)
    return scaled(space, Separable(heavy_worth(layers, rng) * unit), rng, seed, GAPS)


def worst_few(layers: int, seed: int) -> Problem:
    """Minus a log-sum-exp of what the layers still lack: the worst few decide."""
    rng = np.random.default_rng([13, layers, seed])
    space = uneven_space(layers, rng)
    damage = rng.lognormal(0.0, 0.5, (layers, 1))
    landscape = LogSumExp(damage * (1.0 - 0.9 * rising_curves(layers, rng)), rng.uniform(0.1, 0.4))
    return scaled(space, landscape, rng, seed, GAPS)


def diverging(layers: int, seed: int) -> Problem:
    """Layers that add up, and one trial in ten ends far too low, with a score all the same."""
    rng = np.random.default_rng([14, layers, seed])
    space = uneven_space(layers, rng)
    landscape = Separable(heavy_worth(layers, rng) * rising_curves(layers, rng))
    clean = scaled(space, landscape, rng, seed, GAPS)
    noise = HeavyTailed(seed, clean.noise.deviation, NORMAL, failing=0.0, exploding=DIVERGED)
    noisy = Problem(space, landscape, noise)
    vars(noisy)["optimum"] = clean.optimum
    return noisy


def _peaked(rising: Floats, rng: np.random.Generator) -> Floats:
    """Bend each curve down behind a rank between the second and the last, ``(layers, R)``."""
    axis = np.array(RANKS, dtype=np.float64)
    top = rng.integers(1, len(RANKS), (len(rising), 1))
    beyond = np.maximum(axis - axis[top], 0.0) / axis[-1]
    least = np.take_along_axis(rising, top, axis=1)
    fall = rng.uniform(0.3, 1.0, (len(rising), 1)) * beyond / np.maximum(beyond[:, -1:], 1e-9)
    found: Floats = np.minimum(rising, least) * (1.0 - fall)
    return found
