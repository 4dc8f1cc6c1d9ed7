"""The last digits of a processor decide nothing."""

import numpy as np
import pytest

from perfmodel.allocation.grid import GRAIN, on_grid
from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from rankspace import Layer, SearchSpace

LAYERS = tuple(Layer(f"{at}", 5 + 2 * (at % 3)) for at in range(24))
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4), 2 * sum(layer.parameters_per_rank for layer in LAYERS))


def tied(seed: int) -> Floats:
    """Utilities that six layers at a time share, as layers do that no trial told apart."""
    rng = np.random.default_rng(seed)
    worth = np.repeat(rng.exponential(1.0, 4), 6)[:, None]
    return np.asarray(worth * (1.0 - np.exp(-np.array(SPACE.ranks) / 1.7)))


def disturbed(tables: Floats, seed: int) -> Floats:
    noise = np.random.default_rng(seed).uniform(-1.0, 1.0, tables.shape)
    return np.asarray(tables * (1.0 + 1e-12 * noise))


def test_utilities_that_differ_in_the_last_digits_have_the_same_optimum() -> None:
    allocator = Allocator(SPACE)
    plain_differs = 0
    for seed in range(12):
        tables = tied(seed)
        best = allocator.best(on_grid(tables))
        for other in range(4):
            moved = disturbed(tables, other)
            assert allocator.best(on_grid(moved)) == best
            plain_differs += allocator.best(moved) != allocator.best(tables)
    assert plain_differs > 0  # which is what the grid is for


def test_on_the_edge_between_two_points_an_entry_moves_by_one_grain_at_most() -> None:
    step = GRAIN * 0.5  # of a largest gain from 0.5 up to 1
    tables = np.array([[0.0, 0.7], [0.0, 1000.5 * step]])
    up, down = on_grid(tables * (1.0 + 1e-12)), on_grid(tables * (1.0 - 1e-12))
    assert up[1, 1] != down[1, 1]
    assert np.abs(up - down).max() == pytest.approx(step)


@pytest.mark.parametrize("factor", [1e-300, 1e-9, 1.0, 1e12, 1e300])
def test_the_grid_follows_the_size_of_the_gains(factor: float) -> None:
    tables = tied(3)
    found = on_grid(factor * tables)
    assert np.abs(found / factor - tables).max() <= GRAIN * np.abs(tables).max()
    assert on_grid(5.0 + tables)[:, 0].tolist() == [0.0] * len(tables)


def test_nothing_to_gain_stays_nothing() -> None:
    assert on_grid(np.full((3, 4), 7.0)).tolist() == [[0.0] * 4] * 3
