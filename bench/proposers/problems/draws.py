"""Draws: spaces, worths, curves and noise that several families share."""

import numpy as np

from bench.proposers.problems.landscapes import Landscape
from bench.proposers.problems.noise import Gaussian
from bench.proposers.problems.problem import Problem
from bench.proposers.problems.shapes import RISING, curves
from perfmodel.arrays import Floats, Integers
from rankspace import Layer, SearchSpace

RANKS = (0, 2, 4, 6, 8, 10, 12)

GAPS = (3.0, 40.0)
"""What the optimum gains over uniform, in deviations of one trial: log-uniform between these."""


def plain_layers(costs: Integers) -> tuple[Layer, ...]:
    """Layers without blocks and kinds."""
    return tuple(Layer(f"layer.{at}", cost) for at, cost in enumerate(costs.tolist()))


def uneven_space(layers: int, rng: np.random.Generator) -> SearchSpace:
    """Costs that differ up to threefold; the budget is what rank 4 or 6 costs everywhere."""
    costs = rng.integers(4000, 12001, layers)
    return SearchSpace(plain_layers(costs), RANKS, int(rng.choice([4, 6]) * costs.sum()))


def heavy_worth(layers: int, rng: np.random.Generator) -> Floats:
    """Share of each layer, ``(layers, 1)``: a few matter a lot."""
    drawn = rng.pareto(1.2, (layers, 1)) + 0.05
    found: Floats = drawn / drawn.sum()
    return found


def rising_curves(layers: int, rng: np.random.Generator) -> Floats:
    """One of five shapes for each layer, ``(layers, R)``."""
    return curves(RISING, RANKS, layers, rng)


def scaled(
    space: SearchSpace,
    landscape: Landscape,
    rng: np.random.Generator,
    seed: int,
    gaps: tuple[float, float] = GAPS,
) -> Problem:
    """Draw the noise so that the gap is log-uniform within ``gaps`` deviations."""
    clean = Problem(space, landscape, Gaussian(seed, 0.0))
    gap = clean.best_score() - clean.uniform_score
    deviations = float(np.exp(rng.uniform(*np.log(gaps))))
    noisy = Problem(space, landscape, Gaussian(seed, gap / deviations))
    vars(noisy)["optimum"] = clean.optimum
    return noisy
