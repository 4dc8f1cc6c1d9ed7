import pytest

from rankspace import Layer, Part, RankVector, SearchSpace
from rankspace.errors import BudgetTooSmall, InvalidInput
from rankspace.wire import decode, encode

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


FULL = SearchSpace(LAYERS, (0, 2, 8, 16), max_parameters=10_000, parts={"b": (Part("b", 30, 5),)})
"""The second layer has five rows."""


def test_a_layer_takes_no_more_rank_than_it_can_use() -> None:
    assert FULL.options == ((0, 2, 8, 16), (0, 2, 5), (0, 2, 8, 16))
    assert FULL.table[1] == (0, 2, 5, 5)
    assert FULL.uniform() == RankVector((16, 5, 16))
    assert FULL.parameters(FULL.uniform()) == 16 * 10 + 5 * 30 + 16 * 20
    assert FULL.prices[1] == (0, 60, 150)


def test_a_rank_that_cannot_be_used_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidInput, match="not allowed on b, which can use no more than 5"):
        FULL.check(RankVector((8, 8, 8)))


def test_a_layer_that_cannot_use_the_lowest_rank_is_not_searched() -> None:
    space = SearchSpace(LAYERS, (4, 8), 10_000, parts={"b": (Part("b", 30, 3),)})
    assert space.free_layers == [0, 2]
    assert space.cheapest() == RankVector((4, 3, 4))


def test_each_matrix_of_a_block_takes_what_it_can_use() -> None:
    parts = (Part("b.wide", 20, 12), Part("b.thin", 10, 4))
    space = SearchSpace(LAYERS, (0, 8, 16), 10_000, parts={"b": parts})
    assert space.options[1] == (0, 8, 12)
    assert space.prices[1] == (0, 8 * 20 + 4 * 10, 12 * 20 + 4 * 10)
    assert space.parameters(RankVector((0, 12, 0))) == 280


def test_what_has_no_such_layer_cannot_be_its_part() -> None:
    for parts in ({"d": (Part("d", 3, 1),)}, {"b": (Part("b", 29, 1),)}):
        with pytest.raises(InvalidInput, match="per rank, the layer"):
            SearchSpace(LAYERS, (0, 2), 1000, parts=parts)


def test_a_space_of_before_reads_as_it_was_and_is_written_as_it_was() -> None:
    plain = SearchSpace(LAYERS, (0, 2), 1000)
    assert set(encode(plain)) == {"layers", "ranks", "max_parameters", "fixed"}
    assert decode(SearchSpace, encode(plain)) == plain
    assert decode(SearchSpace, encode(FULL)) == FULL
