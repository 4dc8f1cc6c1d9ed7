import pytest

from rankspace import Layer, RankVector, SearchSpace
from rankspace.errors import BudgetTooSmall, InvalidInput

LAYERS = (Layer("a", 10), Layer("b", 30), Layer("c", 20))


def test_uniform_is_the_largest_constant_vector_that_fits() -> None:
    space = SearchSpace(LAYERS, (0, 2, 4), max_parameters=239)
    assert space.uniform() == RankVector((2, 2, 2))


def test_a_fixed_layer_keeps_its_rank_and_its_cost_counts() -> None:
    space = SearchSpace(LAYERS, (0, 2), max_parameters=160, fixed={"b": 3})
    assert space.uniform() == RankVector((2, 3, 2))
    assert space.parameters(space.uniform()) == 150
    assert space.choices(1) == (3,)


def test_a_layer_is_free_if_it_may_take_more_than_one_rank() -> None:
    assert SearchSpace(LAYERS, (0, 2), max_parameters=160, fixed={"b": 3}).free_layers == [0, 2]
    assert SearchSpace(LAYERS, (2,), max_parameters=160, fixed={"b": 0}).free_layers == []


@pytest.mark.parametrize(
    ("ranks", "problem"),
    [
        ((0, 2), "has 2 ranks for 3 layers"),
        ((0, 1, 0), "not allowed on b"),
        ((4, 4, 4), "needs 240 parameters of 239"),
    ],
)
def test_check_says_why_a_vector_is_refused(ranks: tuple[int, ...], problem: str) -> None:
    space = SearchSpace(LAYERS, (0, 2, 4), max_parameters=239)
    with pytest.raises(InvalidInput, match=problem):
        space.check(RankVector(ranks))


@pytest.mark.parametrize("ranks", [(), (2, 2), (4, 2), (-1, 2)])
def test_ranks_must_rise(ranks: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="strictly increasing"):
        SearchSpace(LAYERS, ranks, max_parameters=1000)


def test_a_budget_below_the_cheapest_vector_names_what_it_takes() -> None:
    with pytest.raises(BudgetTooSmall, match="needs 120 parameters"):
        SearchSpace(LAYERS, (2, 4), max_parameters=119)


def test_an_unknown_fixed_layer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no such layer"):
        SearchSpace(LAYERS, (0, 2), max_parameters=1000, fixed={"d": 2})


def test_a_name_may_not_occur_twice() -> None:
    with pytest.raises(InvalidInput, match="named twice"):
        SearchSpace((*LAYERS, Layer("a", 5)), (0, 2), max_parameters=1000)
