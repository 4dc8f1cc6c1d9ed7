import numpy as np

from perfmodel.random_vectors import random_vectors, repair
from rankspace import Layer, SearchSpace

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


def test_an_exhausted_space_gives_what_it_has() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1), 1)
    assert {v.ranks for v in random_vectors(space, 10, seed=0)} == {(1, 0), (0, 1)}


def test_repair_leaves_fixed_layers_alone() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1, 2), 5, {"b": 3})
    assert repair(space, [2, 2], np.random.default_rng(0)).ranks == (2, 3)
