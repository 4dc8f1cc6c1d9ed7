"""One suite over every strategy and over spaces of every shape."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from perfmodel import STRATEGIES, ModelState, economy, leaders, learn, predict, propose, start
from rankspace import Layer, Observation, RankVector, SearchSpace
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.study import StrategyName

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def grid(
    blocks: int, ranks: tuple[int, ...], rank: int, fixed: dict[str, int] | None = None
) -> SearchSpace:
    layers = tuple(
        Layer(f"{block}.{kind}", 300 + 17 * block + 200 * (position > 3), block, kind)
        for block in range(blocks)
        for position, kind in enumerate(KINDS)
    )
    budget = rank * sum(layer.parameters_per_rank for layer in layers)
    return SearchSpace(layers, ranks, budget, fixed or {})


def nameless(count: int, ranks: tuple[int, ...], budget: int) -> SearchSpace:
    return SearchSpace(tuple(Layer(f"{i}", 3 + i % 5) for i in range(count)), ranks, budget)


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "blocks and kinds": lambda: grid(3, (0, 1, 2, 4), 2),
    "tight": lambda: grid(2, (0, 1, 2), 1),
    "no rank 0": lambda: grid(2, (2, 4, 6, 8), 4),
    "fixed layers": lambda: grid(2, (0, 2, 4), 2, {"0.q_proj": 3, "1.down_proj": 0}),
    "all fixed": lambda: SearchSpace((Layer("a", 7),), (0, 2), 70, {"a": 5}),
    "one layer": lambda: nameless(1, (0, 1, 2, 4), 9),
    "one rank": lambda: nameless(4, (2,), 60),
    "one vector fits": lambda: nameless(4, (1, 2), 18),
    "no names": lambda: nameless(12, (0, 1, 3), 60),
    "whole blocks": lambda: SearchSpace(
        tuple(Layer(f"model.layers.{i}", 50 + i, block=i) for i in range(8)), (0, 2, 4), 900
    ),
}


@pytest.fixture(params=StrategyName, ids=str)
def strategy(request: pytest.FixtureRequest) -> StrategyName:
    return StrategyName(request.param)


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]()


def score(vector: RankVector) -> float | None:
    """A saturating score with different layers; every seventh vector or so fails."""
    worth = np.random.default_rng(5).exponential(1.0, len(vector))
    ranks = np.array(vector.ranks)
    total = float((worth * ranks / (ranks + 1.5)).sum())
    return None if int(1000 * total) % 7 == 3 else total


def run(state: ModelState, trials: int) -> tuple[ModelState, list[RankVector]]:
    vectors = []
    for _ in range(trials):
        state, (proposal,) = propose(state)
        vectors.append(proposal.rank_vector)
        state = learn(state, [Observation(proposal.rank_vector, score(proposal.rank_vector))])
    return state, vectors


def test_every_strategy_name_has_its_strategy_and_every_strategy_its_source() -> None:
    assert set(STRATEGIES) == set(StrategyName)
    assert all(one.source and "\n" not in one.source for one in STRATEGIES.values())


def test_every_proposal_fits_the_space_exactly(strategy: StrategyName, space: SearchSpace) -> None:
    state = start(space, strategy=strategy, trials=14)
    for _ in range(7):
        state, proposals = propose(state, count=2)
        for proposal in proposals:
            space.check(proposal.rank_vector)
            assert proposal.reason
            assert "\n" not in proposal.reason
        state = learn(state, [Observation(p.rank_vector, score(p.rank_vector)) for p in proposals])


def test_the_answers_at_the_end_fit_the_space(strategy: StrategyName, space: SearchSpace) -> None:
    state, _ = run(start(space, strategy=strategy, trials=10), 10)
    best = leaders(state, 3)
    assert 1 <= len(best) <= 3
    assert len(set(best)) == len(best)
    for vector in best:
        space.check(vector)
    cheap = economy(state)
    if cheap is not None:
        space.check(cheap)
        assert space.parameters(cheap) < space.parameters(space.uniform())
    mean, std = predict(state, best)
    assert mean.shape == std.shape == (len(best),)
    assert np.isfinite(mean).all()
    assert (std >= 0.0).all()


def test_nothing_learned_still_has_an_answer(strategy: StrategyName, space: SearchSpace) -> None:
    state = start(space, strategy=strategy)
    assert leaders(state, 3) == (space.uniform(),)
    assert economy(state) is None
    mean, std = predict(state, [space.uniform()])
    assert (mean.tolist(), std.tolist()) == ([0.0], [np.inf])


def test_a_replay_of_the_events_gives_the_same_proposals(strategy: StrategyName) -> None:
    space = SPACES["blocks and kinds"]()
    once, first = run(start(space, strategy=strategy, seed=3, trials=12), 12)
    again, second = run(start(space, strategy=strategy, seed=3, trials=12), 12)
    assert first == second
    assert once.to_bytes() == again.to_bytes()
    in_one_go = learn(
        propose(start(space, strategy=strategy, seed=3, trials=12), count=12)[0], once.observations
    )
    assert in_one_go == once
    assert propose(in_one_go, count=2)[1] == propose(once, count=2)[1]


def test_bytes_hold_the_whole_state(strategy: StrategyName, space: SearchSpace) -> None:
    state, _ = run(start(space, strategy=strategy, trials=9), 7)
    restored = ModelState.from_bytes(state.to_bytes())
    assert restored == state
    assert restored.to_bytes() == state.to_bytes()
    assert propose(restored, count=3) == propose(state, count=3)
    assert leaders(restored, 3) == leaders(state, 3)


def test_asking_changes_nothing_but_the_draw_counter(strategy: StrategyName) -> None:
    state, _ = run(start(SPACES["tight"](), strategy=strategy, trials=20), 9)
    before = state.to_bytes()
    following, proposals = propose(state)
    assert state.to_bytes() == before
    assert propose(state)[1] == proposals
    assert following.draws == state.draws + 1


@pytest.mark.parametrize("strategy", sorted(set(StrategyName) - {StrategyName.UNIFORM}))
def test_running_and_tried_vectors_are_not_offered_again(strategy: str) -> None:
    state = start(SPACES["blocks and kinds"](), strategy=strategy, trials=24)
    seen: set[RankVector] = set()
    for _ in range(6):
        running: list[RankVector] = []
        for _ in range(4):
            state, (proposal,) = propose(state, pending=running)
            running.append(proposal.rank_vector)
        assert not seen & set(running)
        assert len(set(running)) == 4
        seen |= set(running)
        state = learn(state, [Observation(vector, score(vector)) for vector in running])


TINY: dict[str, SearchSpace] = {
    "two layers": SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1), 2),
    "tight budget": nameless(4, (0, 1, 2), 21),
    "loose budget": nameless(4, (0, 1, 2), 99),
    "coprime costs": SearchSpace((Layer("a", 7), Layer("b", 11)), (0, 1, 2, 4), 50),
    "one vector": nameless(4, (2,), 60),
    "fixed": SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1, 2), 5, {"b": 3}),
}


@pytest.mark.parametrize("tiny", TINY)
@pytest.mark.parametrize("strategy", sorted(set(StrategyName) - {StrategyName.UNIFORM}))
def test_a_tiny_space_is_offered_whole_before_anything_is_repeated(
    strategy: StrategyName, tiny: str
) -> None:
    space = TINY[tiny]
    feasible = {
        RankVector(ranks)
        for ranks in itertools.product(*(space.choices(i) for i in range(len(space.layers))))
        if space.affords(RankVector(ranks))
    }
    state, running = start(space, strategy=strategy, trials=60), list[RankVector]()
    for _ in feasible:
        state, (proposal,) = propose(state, pending=running)
        running.append(proposal.rank_vector)
    assert set(running) == feasible
    state = learn(state, [Observation(vector, score(vector)) for vector in running])
    space.check(propose(state)[1][0].rank_vector)


@pytest.mark.parametrize("strategy", sorted(set(StrategyName) - {StrategyName.UNIFORM}))
def test_one_call_offers_distinct_vectors(strategy: str) -> None:
    _, proposals = propose(start(SPACES["blocks and kinds"](), strategy=strategy), count=20)
    assert len({proposal.rank_vector for proposal in proposals}) == 20


def test_only_failures_teach_nothing_and_break_nothing(
    strategy: StrategyName, space: SearchSpace
) -> None:
    state = start(space, strategy=strategy, trials=12)
    for _ in range(12):
        state, (proposal,) = propose(state)
        space.check(proposal.rank_vector)
        state = learn(state, [Observation(proposal.rank_vector, None)])
    assert len(state.observations) == 12
    assert leaders(state, 3) == (space.uniform(),)


def test_256_layers_are_served(strategy: StrategyName) -> None:
    layers = tuple(Layer(f"{i}", 4096 + 37 * i, i // 8, f"kind {i % 8}") for i in range(256))
    budget = 8 * sum(layer.parameters_per_rank for layer in layers)
    space = SearchSpace(layers, (0, 2, 4, 6, 8, 10, 12, 16), budget)
    state, vectors = run(start(space, strategy=strategy, trials=12), 8)
    for vector in (*vectors, *leaders(state, 2)):
        space.check(vector)


@pytest.mark.parametrize("strategy", [StrategyName.ADDITIVE, StrategyName.SWAP])
def test_the_first_trial_is_the_baseline(strategy: StrategyName, space: SearchSpace) -> None:
    _, (proposal,) = propose(start(space, strategy=strategy))
    assert proposal.rank_vector == space.uniform()


def test_different_seeds_search_differently() -> None:
    space = SPACES["blocks and kinds"]()
    for strategy in (StrategyName.ADDITIVE, StrategyName.SWAP, StrategyName.RANDOM):
        runs = [run(start(space, strategy=strategy, seed=seed, trials=8), 8)[1] for seed in (0, 1)]
        assert runs[0] != runs[1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"strategy": "magic"}, "strategy"),
        ({"prior": b"x"}, "prior"),
        ({"seed": -1}, "seed"),
        ({"trials": 0}, "trials"),
    ],
)
def test_a_wrong_start_names_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        start(SPACES["tight"](), **change)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.hint


def test_a_space_of_uncountable_parameters_is_refused(strategy: StrategyName) -> None:
    space = SearchSpace((Layer("a", 2**62), Layer("b", 2**62)), (0, 1), 2**63)
    with pytest.raises(InvalidInput) as caught:
        start(space, strategy=strategy)
    assert caught.value.field == "layers"


def test_a_vector_of_another_space_is_refused(strategy: StrategyName) -> None:
    with pytest.raises(InvalidInput, match="3 ranks for 14 layers"):
        learn(
            start(SPACES["tight"](), strategy=strategy), [Observation(RankVector((1, 1, 1)), 0.5)]
        )


@pytest.mark.parametrize("foreign", [(3,) * 14, (2,) * 14])
def test_a_learned_vector_outside_the_space_never_comes_back(
    strategy: StrategyName, foreign: tuple[int, ...]
) -> None:
    space = SPACES["tight"]()
    state, _ = run(start(space, strategy=strategy, trials=20), 5)
    state = learn(state, [Observation(RankVector(foreign), 99.0)])
    for vector in leaders(state, 4):
        space.check(vector)
    for proposal in propose(state, count=3)[1]:
        space.check(proposal.rank_vector)
    only = learn(start(space, strategy=strategy), [Observation(RankVector(foreign), 99.0)] * 2)
    for vector in leaders(only, 4):
        space.check(vector)
    space.check(propose(only)[1][0].rank_vector)


def test_fewer_than_one_proposal_is_refused(strategy: StrategyName) -> None:
    for count in (0, -1):
        with pytest.raises(InvalidInput) as caught:
            propose(start(SPACES["tight"](), strategy=strategy), count=count)
        assert caught.value.field == "count"


def test_scores_of_another_fidelity_are_refused(strategy: StrategyName) -> None:
    space = SPACES["tight"]()
    half = Observation(space.uniform(), 0.5, fidelity=0.5)
    state = learn(start(space, strategy=strategy), [half])
    with pytest.raises(InvalidInput) as caught:
        learn(state, [Observation(space.cheapest(), 0.4)])
    assert caught.value.field == "fidelity"
    assert caught.value.hint
    with pytest.raises(InvalidInput):
        learn(start(space, strategy=strategy), [half, Observation(space.cheapest(), 0.4)])
    assert learn(state, [half]).observations == (half, half)


def test_bytes_of_another_version_are_refused() -> None:
    blob = start(SPACES["tight"]()).to_bytes().replace(b'"wire":1', b'"wire":999')
    with pytest.raises(UnsupportedVersion, match="999"):
        ModelState.from_bytes(blob)


@pytest.mark.parametrize("blob", [b"", b"{", b"\xff\xfe"])
def test_bytes_that_are_no_state_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidInput):
        ModelState.from_bytes(blob)
