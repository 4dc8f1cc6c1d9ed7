"""One-shot allocators: the weights of each method, and ranks in their proportion."""

import itertools

import numpy as np
import pytest

from perfmodel import leaders, learn, propose, start
from perfmodel.allocation.knapsack import Allocator
from perfmodel.strategies.layer_weights import by_depth, by_importance, by_reconstruction_error
from perfmodel.strategies.proportional import proportional
from rankspace import Context, Layer, LayerProfile, Observation, Part, RankVector, SearchSpace
from rankspace.errors import InvalidInput


def space_of(
    costs: list[int], budget: int, ranks: tuple[int, ...] = tuple(range(17))
) -> SearchSpace:
    layers = tuple(Layer(f"{at}", cost, block=at // 2) for at, cost in enumerate(costs))
    return SearchSpace(layers, ranks, budget)


def profiled(space: SearchSpace, errors: list[float | None], norms: list[float]) -> Context:
    both = zip(space.layers, errors, norms, strict=True)
    return Context(
        profiles=tuple(
            LayerProfile(layer.name, 0.0, 1.0, 1.0, 1.0, norm, 1.0, error)
            for layer, error, norm in both
        )
    )


def allocated(space: SearchSpace, weights: list[float]) -> tuple[int, ...]:
    return proportional(space, np.array(weights), Allocator(space)).ranks


def test_equal_costs_give_the_ranks_of_the_paper() -> None:
    errors = [0.4, 0.3, 0.2, 0.1]  # LoSA: r_i = e_i / sum(e) * mean rank * layers
    assert allocated(space_of([1] * 4, 4 * 8), errors) == (13, 10, 6, 3)
    assert sum(allocated(space_of([1] * 4, 4 * 8), errors)) == 4 * 8


def test_a_layer_at_the_highest_rank_leaves_its_share_to_the_others() -> None:
    assert allocated(space_of([1] * 4, 32), [0.97, 0.01, 0.01, 0.01]) == (16, 6, 5, 5)


def test_nothing_to_go_by_is_uniform() -> None:
    assert allocated(space_of([3, 5, 7, 9], 24 * 8), [0.0] * 4) == (8, 8, 8, 8)


@pytest.mark.parametrize("seed", range(20))
def test_ranks_are_the_closest_that_fit_and_spend_the_budget(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs, ranks = rng.integers(3, 12, 4), (0, 1, 3, 4, 8)
    budget = int(2.5 * costs.sum())
    space, weights = space_of(costs.tolist(), budget, ranks), rng.exponential(size=4)
    found = np.array(allocated(space, weights.tolist()))
    dearer = [min((r for r in ranks if r > rank), default=99) for rank in found]
    steps = costs * (np.array(dearer) - found)
    left = budget - int(found @ costs)
    assert 0 <= left < min(steps)
    scale = (costs @ found) / (costs @ weights)
    every = np.array(list(itertools.product(ranks, repeat=4)))
    every = every[(every @ costs <= budget) & (every @ costs >= budget - left)]

    def distance(vector: np.ndarray) -> float:
        return float(costs @ (vector - np.clip(scale * weights, 0, 8)) ** 2)

    assert distance(found) <= 1.5 * min(map(distance, every)) + 1.5 * float(costs.max())


def test_what_full_matrices_of_a_block_leave_is_spent_in_proportion() -> None:
    layers = (Layer("a", 4, block=0), Layer("b", 4, block=1))
    thin = {"a": (Part("a.q", 1, 16), Part("a.k", 3, 1))}  # beyond rank 1 a rank of it costs 1
    space = SearchSpace(layers, tuple(range(17)), 40, parts=thin)
    assert allocated(space, [3.0, 1.0]) == (16, 5)  # 3 + 3 f + 4 f = 40, f = 5.3


def test_fixed_layers_keep_their_rank_and_cost_the_others_nothing_more() -> None:
    layers = tuple(Layer(name, 2) for name in "abc")
    space = SearchSpace(layers, (0, 1, 2, 3, 4), 20, {"b": 5})
    assert allocated(space, [3.0, 100.0, 1.0]) == (4, 5, 1)


def test_depth_goes_from_half_to_one_and_a_half_of_the_mean_by_block() -> None:
    space = space_of([1] * 10, 80)
    assert by_depth(space, Context()).tolist() == [
        w for w in (0.5, 0.75, 1, 1.25, 1.5) for _ in "ab"
    ]
    assert allocated(space, by_depth(space, Context()).tolist()) == (
        4,
        4,
        6,
        6,
        8,
        8,
        10,
        10,
        12,
        12,
    )
    nameless = SearchSpace(tuple(Layer(name, 1) for name in "abc"), (0, 1), 3)
    assert by_depth(nameless, Context()).tolist() == [0.5, 1.0, 1.5]


def test_importance_is_shared_by_a_block_and_squashed() -> None:
    space = space_of([1, 3, 1, 1, 2, 2], 80)
    context = profiled(space, [None] * 6, [4.0, 0.0, 2.0, 4.0, 9.0, 1.0])  # blocks: 1, 3, 5
    centred = np.array([-2.0, 0.0, 2.0]) / np.std([1.0, 3.0, 5.0])
    expected = np.repeat(1.0 / (1.0 + np.exp(-centred)), 2)
    assert by_importance(space, context) == pytest.approx(expected)


def test_a_profile_without_the_dense_model_has_no_reconstruction_error() -> None:
    space = space_of([1] * 4, 8)
    full, part = [0.1, 0.1, 0.3, 0.3], [0.1, None, 0.3, 0.3]
    assert by_reconstruction_error(space, profiled(space, [*full], [1.0] * 4)).tolist() == full
    with pytest.raises(InvalidInput, match="profiles do not tell"):
        by_reconstruction_error(space, profiled(space, [*part], [1.0] * 4))


def test_its_vector_and_uniform_are_tried_by_turns_and_the_better_one_leads() -> None:
    space = space_of([1] * 10, 80)
    state = start(space, strategy="linear-depth")
    own = RankVector((4, 4, 6, 6, 8, 8, 10, 10, 12, 12))
    assert leaders(state, 3) == (own, space.uniform())
    state, pair = propose(state, count=4)
    assert [one.rank_vector for one in pair] == [own, space.uniform()] * 2
    worse = learn(state, [Observation(own, 1.0), Observation(space.uniform(), 2.0)])
    assert leaders(worse, 3) == (space.uniform(), own)
    failed = learn(state, [Observation(own, None)])
    assert leaders(failed, 3) == (space.uniform(),)
    assert propose(failed)[1][0].rank_vector == space.uniform()
