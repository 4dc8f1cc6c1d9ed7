import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.belief import Belief
from perfmodel.additive.design import design, design_size
from perfmodel.allocation.knapsack import Allocator
from rankspace import Layer, RankVector, SearchSpace

SPACE = SearchSpace(
    tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(5) for m in "qkvogud"), (0, 1, 2, 4), 35 * 5 * 2
)


def designed(
    space: SearchSpace, count: int, belief: Belief | None = None
) -> tuple[RankVector, ...]:
    return design(space, Basis.of(space, belief), Allocator(space), count, seed=0)


def test_uniform_is_first_and_all_are_distinct_and_feasible() -> None:
    vectors = designed(SPACE, 10)
    assert vectors[0] == SPACE.uniform()
    assert len(set(vectors)) == 10
    for vector in vectors:
        SPACE.check(vector)


def test_every_layer_is_varied_strongly() -> None:
    ranks = np.array([vector.ranks for vector in designed(SPACE, 11)][1:])
    assert (np.ptp(ranks, axis=0) >= 2).all()
    assert (np.ptp(ranks, axis=0) == 4).mean() > 0.9


def test_contrasts_come_in_pairs_that_favour_opposite_layers() -> None:
    ranks = np.array([vector.ranks for vector in designed(SPACE, 11)][1:], dtype=float)
    for first, second in zip(ranks[::2], ranks[1::2], strict=True):
        assert np.corrcoef(first, second)[0, 1] < -0.5


def test_a_contrast_favours_kinds_rather_than_single_layers() -> None:
    ranks = np.array([vector.ranks for vector in designed(SPACE, 11)][1:], dtype=float)
    by_kind = ranks.reshape(10, 5, 7)
    between = by_kind.mean(axis=1).var(axis=1)
    assert (between > 0.5 * by_kind.reshape(10, 35).var(axis=1)).mean() > 0.8


def test_layers_without_a_kind_are_contrasted_one_by_one() -> None:
    space = SearchSpace(tuple(Layer(f"{at}", 5) for at in range(12)), (0, 1, 2, 4), 12 * 5 * 2)
    ranks = np.array([vector.ranks for vector in designed(space, 9)][1:], dtype=float)
    assert (np.ptp(ranks, axis=0) == 4).all()


def test_what_a_prior_expects_comes_right_after_uniform_and_leans_on_the_rest() -> None:
    worth = np.where([layer.module == "o" for layer in SPACE.layers], 1.5, -0.25)
    vectors = designed(SPACE, 11, Belief(tuple(worth.tolist())))
    ranks = np.array([vector.ranks for vector in vectors], dtype=float)
    wanted = worth > 0
    assert ranks[1, wanted].min() == 4
    assert ranks[2:, wanted].mean() > 1.5 * ranks[2:, ~wanted].mean()


def test_a_tiny_space_has_a_tiny_design() -> None:
    assert len(designed(SearchSpace((Layer("a", 3),), (0, 1), 3), 5)) <= 2


def test_the_design_takes_a_fifth_of_the_trials_within_limits() -> None:
    assert [design_size(trials, 56) for trials in (4, 40, 1000)] == [3, 8, 114]
    assert design_size(40, 1) == 4


def test_who_was_taught_asks_half_as_much() -> None:
    assert [design_size(trials, 56, is_taught=True) for trials in (4, 40, 1000)] == [3, 4, 100]
