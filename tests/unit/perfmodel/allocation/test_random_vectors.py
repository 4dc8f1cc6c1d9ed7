import numpy as np
import pytest

from perfmodel.allocation.random_vectors import another_vector, random_vectors, repair, vector_of
from rankspace import Layer, RankVector, SearchSpace

SPACE = SearchSpace(
    tuple(Layer(f"{i}", 3 + i) for i in range(8)), (0, 1, 2, 4), 2 * sum(range(3, 11))
)


def test_vectors_are_distinct_within_budget_and_reproducible() -> None:
    vectors = random_vectors(SPACE, 50, seed=4)
    assert len(set(vectors)) == 50
    for vector in vectors:
        SPACE.check(vector)
    assert vectors == random_vectors(SPACE, 50, seed=4)
    assert vectors != random_vectors(SPACE, 50, seed=5)


def test_no_layer_could_still_be_raised() -> None:
    for vector in random_vectors(SPACE, 50, seed=4):
        left = SPACE.max_parameters - SPACE.parameters(vector)
        for rank, cost in zip(vector.ranks, SPACE.costs, strict=True):
            following = [allowed for allowed in SPACE.ranks if allowed > rank]
            assert not following or (following[0] - rank) * cost > left


def test_a_small_space_gives_all_it_has_and_full_vectors_first() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1), 1)
    vectors = [v.ranks for v in random_vectors(space, 10, seed=0)]
    assert set(vectors[:2]) == {(1, 0), (0, 1)}
    assert vectors[2:] == [(0, 0)]


def test_a_space_too_large_to_list_is_drawn_from_below_the_budget_when_its_top_is_used_up() -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 1) for i in range(20)), (0, 1), 19)
    vectors = random_vectors(space, 100, seed=0)
    assert len(set(vectors)) == 100
    assert {space.parameters(vector) for vector in vectors[:15]} == {19}
    for vector in vectors:
        space.check(vector)


def test_repair_leaves_fixed_layers_alone() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1, 2), 5, {"b": 3})
    assert repair(space, [2, 2], np.random.default_rng(0)).ranks == (2, 3)


def test_another_vector_is_one_on_the_budget_while_there_is_one() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1), 1)
    taken: dict[RankVector, None] = {}
    for _ in range(3):
        vector = another_vector(space, taken, np.random.default_rng(0))
        assert vector is not None
        taken[vector] = None
    assert [sum(vector.ranks) for vector in taken] == [1, 1, 0]
    assert another_vector(space, taken, np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(20))
def test_repair_stops_where_going_on_would_change_nothing(seed: int) -> None:
    """As a walk through all steps in the same order ends, that never looks at what is left."""
    levels = np.random.default_rng(seed).integers(0, 2, len(SPACE.layers)).tolist()
    found = repair(SPACE, [*levels], np.random.default_rng(seed))
    prices = SPACE.prices
    left = SPACE.max_parameters - sum(row[level] for row, level in zip(prices, levels, strict=True))
    assert left >= 0
    steps = SPACE.free_layers * (len(SPACE.ranks) - 1)
    for layer in np.random.default_rng(seed).permutation(steps).tolist():
        if levels[layer] + 1 < len(prices[layer]):
            step = prices[layer][levels[layer] + 1] - prices[layer][levels[layer]]
            if step <= left:
                left, levels[layer] = left - step, levels[layer] + 1
    assert found == vector_of(SPACE, levels)


def test_the_cheapest_step_is_that_of_the_layer_and_the_ranks_nearest_to_each_other() -> None:
    layers = (Layer("a", 5), Layer("b", 3), Layer("c", 1))
    assert SearchSpace(layers, (0, 4, 6), 100, {"c": 6}).least_step == 6
    assert SearchSpace((Layer("a", 5),), (2,), 100).least_step == 0
