"""The rank that the curve of all layers has its height at."""

import pytest

from perfmodel.meta.curve import mean_rank
from rankspace import Layer, Part, RankVector, SearchSpace

LAYERS = (Layer("a", 4, block=0), Layer("b", 4, block=1), Layer("c", 2))
THIN = {"a": (Part("a.q", 1, 8), Part("a.k", 3, 2))}


def test_an_even_rank_spends_the_budget() -> None:
    space = SearchSpace(LAYERS, tuple(range(9)), 50, {"c": 1})
    assert mean_rank(space) == 6.0
    assert space.parameters(RankVector((6, 6, 1))) == 50


def test_what_full_matrices_leave_goes_to_the_others() -> None:
    space = SearchSpace(LAYERS, tuple(range(9)), 38, {"c": 1}, THIN)
    assert mean_rank(space) == pytest.approx(6.0)
    assert space.parameters(RankVector((6, 6, 1))) == 38


def test_more_than_all_layers_can_use_is_the_highest_rank() -> None:
    assert mean_rank(SearchSpace(LAYERS, (0, 4, 8), 1000, parts=THIN)) == pytest.approx(8.0)
    assert mean_rank(SearchSpace(LAYERS, (4,), 1000)) == 0.0
