import itertools

import pytest

from perfmodel.allocation.feasible import every_vector, is_feasible
from rankspace import Layer, RankVector, SearchSpace

SPACE = SearchSpace((Layer("a", 3), Layer("b", 5), Layer("c", 2)), (0, 1, 3), 22, {"b": 2})


def test_every_vector_within_the_budget_is_listed_once() -> None:
    found = every_vector(SPACE)
    assert found is not None
    ranks = itertools.product(*(SPACE.choices(index) for index in range(3)))
    assert set(found) == {RankVector(r) for r in ranks if SPACE.affords(RankVector(r))}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("at_most", "known"), [(8, True), (7, False)])
def test_a_space_of_more_vectors_than_asked_for_is_not_listed(at_most: int, known: bool) -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 1) for i in range(3)), (0, 1), 3)
    assert (every_vector(space, at_most) is not None) == known


def test_a_large_space_is_given_up_at_once() -> None:
    layers = tuple(Layer(f"{i}", 10**9) for i in range(256))
    assert every_vector(SearchSpace(layers, (0, 2, 4), 600 * 10**9)) is None


@pytest.mark.parametrize(
    ("ranks", "feasible"),
    [((1, 2, 1), True), ((1, 1, 1), False), ((2, 2, 1), False), ((3, 2, 3), False), ((1,), False)],
)
def test_feasible_means_allowed_ranks_within_the_budget(
    ranks: tuple[int, ...], feasible: bool
) -> None:
    assert is_feasible(SPACE, RankVector(ranks)) == feasible
