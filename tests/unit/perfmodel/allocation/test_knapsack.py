import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfmodel.allocation.knapsack import Allocator, allocate, solve
from perfmodel.arrays import Floats
from rankspace import Layer, Part, RankVector, SearchSpace
from rankspace.errors import InvalidInput


def brute_force(space: SearchSpace, utilities: Floats) -> float:
    vectors = itertools.product(*(range(len(space.ranks)) for _ in space.layers))
    return max(
        value(space, utilities, RankVector(tuple(space.ranks[c] for c in choice)))
        for choice in vectors
        if space.affords(RankVector(tuple(space.ranks[c] for c in choice)))
    )


def value(space: SearchSpace, utilities: Floats, vector: RankVector) -> float:
    return float(
        sum(row[space.ranks.index(r)] for row, r in zip(utilities, vector.ranks, strict=True))
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[SearchSpace, Floats]:
    costs = draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    ranks = tuple(sorted(draw(st.sets(st.integers(0, 9), min_size=1, max_size=4))))
    least, most = sum(costs) * ranks[0], sum(costs) * ranks[-1]
    layers = tuple(Layer(f"layer {i}", cost) for i, cost in enumerate(costs))
    space = SearchSpace(layers, ranks, draw(st.integers(least, most + 3)))
    # Whole numbers and costs themselves make ties, on which a careless bound goes wrong.
    number = st.one_of(
        st.integers(-3, 3).map(float), st.floats(-5.0, 5.0), st.sampled_from(costs).map(float)
    )
    rows = draw(
        st.lists(
            st.lists(number, min_size=len(ranks), max_size=len(ranks)),
            min_size=len(costs),
            max_size=len(costs),
        )
    )
    return space, np.array(rows)


@settings(deadline=None, max_examples=150)
@given(problems())
def test_the_allocation_is_within_budget_and_as_good_as_any(
    problem: tuple[SearchSpace, Floats],
) -> None:
    space, utilities = problem
    vector = allocate(space, utilities)
    space.check(vector)
    assert value(space, utilities, vector) == pytest.approx(brute_force(space, utilities), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("concave", [True, False])
def test_a_large_allocation_equals_plain_dynamic_programming(seed: int, concave: bool) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.choice([27, 49, 13, 31], size=60)
    ranks = np.array([0, 1, 2, 4, 6, 8])
    steps = rng.exponential(1.0, (60, 5))
    rises = -np.sort(-steps, axis=1) if concave else steps
    values = np.concatenate([np.zeros((60, 1)), np.cumsum(rises, axis=1)], axis=1)
    weights, capacity = costs[:, None] * ranks, int(2 * costs.sum())
    best = np.zeros(capacity + 1)
    for row, cost in zip(values, weights, strict=True):
        shifted = [
            np.concatenate([np.full(w, -np.inf), best[: capacity + 1 - w]]) + v
            for v, w in zip(row, cost, strict=True)
        ]
        best = np.max(shifted, axis=0)
    chosen = solve(values, weights, capacity)
    at = np.arange(60)
    assert weights[at, chosen].sum() <= capacity
    assert values[at, chosen].sum() == pytest.approx(best.max(), abs=1e-9)


def test_fixed_layers_keep_their_rank_and_their_cost() -> None:
    layers = (Layer("a", 10), Layer("b", 10), Layer("c", 10))
    space = SearchSpace(layers, (0, 1, 2), 50, {"b": 3})
    vector = allocate(space, np.array([[0.0, 1.0, 1.5], [0.0, 9.0, 9.0], [0.0, 2.0, 2.2]]))
    assert vector == RankVector((1, 3, 1))


def test_all_layers_fixed_leaves_nothing_to_choose() -> None:
    space = SearchSpace((Layer("a", 10),), (0, 1), 50, {"a": 5})
    assert allocate(space, np.zeros((1, 2))) == RankVector((5,))


def test_spare_parameters_stay_unused() -> None:
    space = SearchSpace((Layer("a", 10), Layer("b", 7)), (0, 1, 2), 34)
    vector = Allocator(space).best(np.array([[0.0, 3.0, 4.0], [0.0, 2.0, 3.0]]), spare=20)
    assert space.parameters(vector) <= 14
    assert vector == RankVector((1, 0))


def test_a_rank_that_hurts_is_not_bought() -> None:
    space = SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 4), 8)
    assert allocate(space, np.array([[0.0, -1.0], [0.0, 1.0]])) == RankVector((0, 4))


@pytest.mark.parametrize("scale", [1e-300, 1e-15, 1e-11, 1.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_neither_the_unit_nor_the_origin_of_utility_matters(scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        space = SearchSpace(
            tuple(Layer(f"{i}", int(cost)) for i, cost in enumerate(rng.integers(1, 40, 4))),
            (0, 1, 3),
            int(rng.integers(0, 150)),
        )
        utilities = rng.standard_normal((4, 3))
        origin = offset * rng.standard_normal((4, 1))
        vector = allocate(space, scale * (utilities + origin))
        best = brute_force(space, utilities)
        assert value(space, utilities, vector) == pytest.approx(best, abs=1e-9)


def test_more_parameters_than_can_be_counted_are_refused() -> None:
    layers = tuple(Layer(f"{i}", 2**60) for i in range(3))
    for budget in (2**62, 2**70):
        with pytest.raises(InvalidInput) as caught:
            Allocator(SearchSpace(layers, (0, 1, 2), budget))
        assert caught.value.field == "layers"


def test_a_budget_without_bounds_buys_everything() -> None:
    space = SearchSpace((Layer("a", 10), Layer("b", 7)), (0, 1, 2), 10**30)
    assert allocate(space, np.array([[0.0, 3.0, 4.0], [0.0, 2.0, 3.0]])) == RankVector((2, 2))


EQUAL = SearchSpace(tuple(Layer(f"{i}", 10) for i in range(12)), (0, 1, 2, 4, 8), 360)


@pytest.mark.parametrize("worth", [0.0, 1.0])
def test_layers_of_equal_worth_share_the_budget_evenly(worth: float) -> None:
    vector = allocate(EQUAL, np.tile(worth * np.array(EQUAL.ranks), (12, 1)))
    assert set(vector.ranks) == {2, 4}
    assert EQUAL.parameters(vector) == EQUAL.max_parameters


def test_what_no_valuable_rank_can_use_goes_to_worthless_ones_evenly() -> None:
    utilities = np.zeros((12, 5))
    utilities[3] = EQUAL.ranks
    vector = allocate(EQUAL, utilities)
    assert vector.ranks[3] == 8
    assert {*vector.ranks[:3], *vector.ranks[4:]} == {2, 4}
    assert EQUAL.parameters(vector) == EQUAL.max_parameters


@pytest.mark.parametrize("seed", range(5))
def test_a_tolerated_loss_is_not_exceeded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, weights = rng.random((30, 5)), np.sort(rng.integers(1, 10**6, (30, 5)), axis=1)
    weights += np.arange(5)
    values -= values[:, :1]
    capacity = int(weights.mean(axis=0)[2] * 30)
    rows = np.arange(30)
    best, rough = (solve(values, weights, capacity, allowed) for allowed in (0.0, 0.01))
    assert weights[rows, rough].sum() <= capacity
    lost = values[rows, best].sum() - values[rows, rough].sum()
    assert 0.0 <= lost + 1e-9 <= 0.01 * np.abs(values).max() + 2e-9


@settings(deadline=None, max_examples=100)
@given(problems(), st.data())
def test_layers_that_cannot_use_every_rank_are_allocated_exactly(
    problem: tuple[SearchSpace, Floats], data: st.DataObject
) -> None:
    plain, utilities = problem
    largest = st.integers(1, 9)
    parts = {
        layer.name: (
            Part("wide", layer.parameters_per_rank - 1, data.draw(largest)),
            Part("thin", 1, data.draw(largest)),
        )
        for layer in plain.layers
        if layer.parameters_per_rank > 1 and data.draw(st.booleans())
    }
    space = replace(plain, parts=parts)
    found = allocate(space, utilities)
    space.check(found)
    vectors = map(RankVector, itertools.product(*space.options))
    best = max(_worth(space, utilities, one) for one in vectors if space.affords(one))
    assert _worth(space, utilities, found) == pytest.approx(best, abs=1e-9)


def _worth(space: SearchSpace, utilities: Floats, vector: RankVector) -> float:
    rows = zip(utilities, space.options, vector.ranks, strict=True)
    return float(sum(row[options.index(rank)] for row, options, rank in rows))
