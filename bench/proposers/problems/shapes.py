"""Shapes: how one layer's worth grows with its rank, as a share of what the largest rank gives.

None is a saturating exponential, which the model's basis consists of.
"""

from collections.abc import Callable

import numpy as np

from perfmodel.arrays import Floats

Shape = Callable[[Floats, np.random.Generator], Floats]


def hill(ranks: Floats, rng: np.random.Generator) -> Floats:
    """``r^p / (r^p + h^p)``."""
    power, half = rng.uniform(0.8, 2.5), rng.uniform(1.0, 8.0)
    found: Floats = ranks**power / (ranks**power + half**power)
    return found


def root(ranks: Floats, rng: np.random.Generator) -> Floats:
    """``r^p``, p between 0.25 and 0.9."""
    found: Floats = ranks ** rng.uniform(0.25, 0.9)
    return found


def logarithm(ranks: Floats, rng: np.random.Generator) -> Floats:
    """``log(1 + r / s)``."""
    return np.log1p(ranks / rng.uniform(0.3, 6.0))


def knee(ranks: Floats, rng: np.random.Generator) -> Floats:
    """Linear up to a rank, and a tenth as steep from there."""
    bend = rng.uniform(2.0, 10.0)
    found: Floats = np.minimum(ranks, bend) + 0.1 * np.maximum(ranks - bend, 0.0)
    return found


def sigmoid(ranks: Floats, rng: np.random.Generator) -> Floats:
    """A logistic step: the first ranks give little."""
    found: Floats = np.tanh((ranks - rng.uniform(1.0, 6.0)) / rng.uniform(1.5, 4.0))
    return found


RISING: tuple[Shape, ...] = (hill, root, logarithm, knee, sigmoid)


def hump(ranks: Floats, rng: np.random.Generator) -> Floats:
    """A parabola that peaks early: more rank hurts from there."""
    peak = rng.uniform(0.15, 0.5) * ranks[-1]
    found: Floats = 1.0 - ((ranks - peak) / ranks[-1]) ** 2
    return found


def harm(ranks: Floats, rng: np.random.Generator) -> Floats:
    """Every rank hurts."""
    return -0.5 * root(ranks, rng)


def curves(
    shapes: tuple[Shape, ...], ranks: tuple[int, ...], layers: int, rng: np.random.Generator
) -> Floats:
    """One curve per layer, its shape drawn from ``shapes``: 0 first, range 1, ``(layers, R)``."""
    axis = np.array(ranks, dtype=np.float64)
    drawn = np.stack([shapes[rng.integers(len(shapes))](axis, rng) for _ in range(layers)])
    drawn = drawn - drawn[:, :1]
    found: Floats = drawn / np.ptp(drawn, axis=1, keepdims=True)
    return found
