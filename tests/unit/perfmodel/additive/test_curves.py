import numpy as np
import pytest

from perfmodel.additive.curves import Curves
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


def test_no_curve_is_worth_anything_at_the_lowest_allowed_rank() -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 5) for i in range(4)), (2, 4, 8), 80)
    assert Curves.of(space).table[0] == pytest.approx(0.0)


@pytest.mark.parametrize(("ranks", "budget"), [((4,), 20), ((0, 8), 5), ((0, 1), 1)])
def test_a_space_with_little_choice_has_finite_curves(ranks: tuple[int, ...], budget: int) -> None:
    assert np.isfinite(Curves.of(SearchSpace((Layer("a", 1),), ranks, budget)).table).all()
