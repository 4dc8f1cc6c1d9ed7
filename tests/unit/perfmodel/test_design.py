import numpy as np

from perfmodel.design import design, design_size
from perfmodel.hierarchy import Hierarchy, Level
from perfmodel.knapsack import Allocator
from rankspace import Layer, SearchSpace

SPACE = SearchSpace(
    tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(5) for m in "qkvogud"), (0, 1, 2, 4), 35 * 5 * 2
)


def test_uniform_is_first_a_cheaper_vector_second_and_all_are_distinct() -> None:
    vectors = design(SPACE, Allocator(SPACE), 10, seed=0)
    assert vectors[0] == SPACE.uniform()
    assert SPACE.parameters(vectors[1]) <= SPACE.max_parameters // 2
    assert len(set(vectors)) == 10
    for vector in vectors:
        SPACE.check(vector)


def test_kinds_and_blocks_are_varied_strongly() -> None:
    ranks = np.array(
        [v.ranks for v in design(SPACE, Allocator(SPACE), 10, seed=0)][2:], dtype=float
    )
    hierarchy = Hierarchy.of(SPACE)
    for level, size in ((Level.KIND, 5), (Level.BLOCK, 7)):
        means = hierarchy.gather(level, ranks[:, :, None])[:, :, 0] / size
        assert (means.max(axis=0) - means.min(axis=0) > 1.0).mean() > 0.8


def test_contrasts_come_in_pairs_that_favour_opposite_groups() -> None:
    ranks = np.array(
        [v.ranks for v in design(SPACE, Allocator(SPACE), 10, seed=0)][2:], dtype=float
    )
    for first, second in zip(ranks[::2], ranks[1::2], strict=True):
        assert np.corrcoef(first, second)[0, 1] < -0.5


def test_a_tiny_space_has_a_tiny_design() -> None:
    space = SearchSpace((Layer("a", 3),), (0, 1), 3)
    assert len(design(space, Allocator(space), 5, seed=0)) <= 2


def test_the_design_takes_a_quarter_of_the_trials_within_limits() -> None:
    assert [design_size(trials, 56) for trials in (4, 40, 1000)] == [3, 10, 16]
    assert design_size(40, 2) == 3
