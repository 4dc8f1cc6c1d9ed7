import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from perfmodel.curves import Curves, concave
from rankspace import Layer, SearchSpace


def test_every_curve_starts_at_zero_rises_and_saturates() -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 5) for i in range(4)), (0, 2, 4, 8), 80)
    table = Curves.of(space).table
    assert table[0] == pytest.approx(0.0)
    slopes = np.diff(table, axis=0) / np.diff(space.ranks)[:, None]
    assert (slopes > 0).all()
    assert (np.diff(slopes, axis=0) < 0).all()


def test_the_curves_are_one_at_the_rank_the_budget_affords() -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 5) for i in range(4)), (0, 2, 4, 8), 80)
    assert Curves.of(space)(np.array([4])) == pytest.approx(1.0)


def test_concave_tables_are_left_alone() -> None:
    tables = np.array([[0.0, 3.0, 5.0, 6.0], [1.0, 1.0, 1.0, 1.0]])
    assert concave(tables, np.array([0.0, 1.0, 2.0, 4.0])) == pytest.approx(tables)


@pytest.mark.parametrize("seed", range(5))
def test_slopes_are_the_nearest_falling_non_negative_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranks, table = np.array([0.0, 1.0, 2.0, 4.0, 8.0]), rng.standard_normal((1, 5))
    widths = np.diff(ranks)
    wanted = np.diff(table[0]) / widths
    falling = LinearConstraint(-np.eye(4)[1:] + np.eye(4)[:-1], 0.0, np.inf)
    oracle = minimize(
        lambda s: float((widths * (s - wanted) ** 2).sum()),
        np.zeros(4),
        bounds=[(0, None)] * 4,
        constraints=[falling],
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    assert np.diff(concave(table, ranks)[0]) / widths == pytest.approx(oracle.x, abs=1e-4)


def test_a_single_allowed_rank_has_no_slope() -> None:
    assert concave(np.array([[2.0]]), np.array([4.0])) == pytest.approx(np.array([[2.0]]))
