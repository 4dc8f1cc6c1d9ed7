"""One suite over every strategy and over spaces of every shape."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import perfmodel
from perfmodel import (
    STRATEGIES,
    ModelState,
    economy,
    leaders,
    learn,
    predict,
    propose,
    random_vectors,
)
from rankspace import Layer, Observation, RankVector, SearchSpace
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.study import StrategyName
from tests.contract.spaces import SPACES, TINY
from tests.contract.strategies import (
    ONE_SHOT,
    RUNNABLE,
    SLOW,
    TINY_PAIRS,
    every,
    explored,
    home,
    on_every_space,
    run,
    score,
    searched,
    searching,
    some,
    start,
    trunk,
    worth,
)


def test_every_strategy_name_has_its_strategy_and_every_strategy_its_source() -> None:
    assert set(STRATEGIES) == set(StrategyName)
    assert all(one.source and "\n" not in one.source for one in STRATEGIES.values())


@on_every_space
def test_every_proposal_fits_the_space_exactly(strategy: StrategyName, shape: str) -> None:
    space, _, proposals = searched(strategy, shape)
    assert len(proposals) == 12
    for proposal in proposals:
        space.check(proposal.rank_vector)
        assert proposal.reason
        assert "\n" not in proposal.reason


@on_every_space
def test_the_answers_at_the_end_fit_the_space(strategy: StrategyName, shape: str) -> None:
    space, state, _ = searched(strategy, shape)
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


@every
def test_nothing_learned_still_has_an_answer(strategy: StrategyName) -> None:
    for shape, make in SPACES.items():
        space = make()
        state = start(space, strategy=strategy)
        best = leaders(state, 3)
        assert best[-1] == space.uniform(), shape
        assert len(best) == 1 or strategy in ONE_SHOT, shape  # they know one before any trial
        assert economy(state) is None, shape
        mean, std = predict(state, [space.uniform()])
        assert (mean.tolist(), std.tolist()) == ([0.0], [np.inf]), shape


@every
def test_a_replay_of_the_events_gives_the_same_proposals(strategy: StrategyName) -> None:
    begun = start(home(strategy), strategy=strategy, seed=3, trials=30)
    once, first = trunk(strategy)
    again, second = run(begun, 12)
    assert first == second
    assert once.to_bytes() == again.to_bytes()
    in_one_go = learn(propose(begun, count=12)[0], once.observations)
    assert in_one_go == once
    assert propose(in_one_go, count=2)[1] == propose(once, count=2)[1]


@on_every_space
def test_bytes_hold_the_whole_state(strategy: StrategyName, shape: str) -> None:
    _, state, _ = searched(strategy, shape)
    restored = ModelState.from_bytes(state.to_bytes())
    assert restored == state
    assert restored.to_bytes() == state.to_bytes()
    assert propose(restored, count=3) == propose(state, count=3)
    assert leaders(restored, 3) == leaders(state, 3)


@every
def test_asking_changes_nothing_but_the_draw_counter(strategy: StrategyName) -> None:
    state, _ = run(start(SPACES["tight"](), strategy=strategy, trials=20), 9)
    before = state.to_bytes()
    following, proposals = propose(state)
    assert state.to_bytes() == before
    assert propose(state)[1] == proposals
    assert following.draws == state.draws + 1


@searching
def test_running_and_tried_vectors_are_not_offered_again(strategy: str) -> None:
    state = start(home(strategy), strategy=strategy, trials=24)
    seen: set[RankVector] = set()
    for _ in range(4 if strategy in SLOW else 6):
        running: list[RankVector] = []
        for _ in range(4):
            state, (proposal,) = propose(state, pending=running)
            running.append(proposal.rank_vector)
        assert not seen & set(running)
        assert len(set(running)) == 4
        seen |= set(running)
        state = learn(state, [Observation(vector, score(vector)) for vector in running])


@pytest.mark.parametrize(("strategy", "tiny"), TINY_PAIRS)
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


@searching
def test_one_call_offers_distinct_vectors(strategy: str) -> None:
    _, proposals = propose(start(home(strategy), strategy=strategy), count=20)
    assert len({proposal.rank_vector for proposal in proposals}) == 20


@on_every_space
def test_only_failures_teach_nothing_and_break_nothing(strategy: StrategyName, shape: str) -> None:
    space = SPACES[shape]()
    state = start(space, strategy=strategy, trials=12)
    for _ in range(12):
        state, (proposal,) = propose(state)
        space.check(proposal.rank_vector)
        state = learn(state, [Observation(proposal.rank_vector, None)])
    assert len(state.observations) == 12
    assert leaders(state, 3) == (space.uniform(),)


@every
def test_256_layers_are_served(strategy: StrategyName) -> None:
    layers = tuple(Layer(f"{i}", 4096 + 37 * i, i // 8, f"kind {i % 8}") for i in range(256))
    budget = 8 * sum(layer.parameters_per_rank for layer in layers)
    space = SearchSpace(layers, (0, 2, 4, 6, 8, 10, 12, 16), budget)
    state, vectors = run(start(space, strategy=strategy, trials=12), 8)
    for vector in (*vectors, *leaders(state, 2)):
        space.check(vector)


@some(*ONE_SHOT, StrategyName.RANDOM, StrategyName.RANKADAPTOR)
def test_the_first_trial_is_the_baseline(strategy: StrategyName) -> None:
    for shape, make in SPACES.items():
        space = make()
        _, (proposal,) = propose(start(space, strategy=strategy))
        assert proposal.rank_vector == space.uniform(), shape


@searching
def test_different_seeds_search_differently(strategy: StrategyName) -> None:
    space = home(strategy)
    runs = [run(start(space, strategy=strategy, seed=seed, trials=8), 8)[1] for seed in (0, 1)]
    assert runs[0] != runs[1]


@searching
def test_seeds_differ_after_the_same_trials_too(strategy: StrategyName) -> None:
    space, seen = home(strategy), explored(strategy)

    def asked(seed: int) -> list[RankVector]:
        state = learn(start(space, strategy=strategy, seed=seed, trials=40), seen)
        return [one.rank_vector for one in propose(state, count=2)[1]]

    first = asked(0)
    assert any(asked(seed) != first for seed in (1, 2))  # mostly the first of them


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
        start(SPACES["tight"](), **change)
    assert caught.value.field == field
    assert caught.value.hint


@every
def test_a_space_of_uncountable_parameters_is_refused(strategy: StrategyName) -> None:
    space = SearchSpace((Layer("a", 2**62), Layer("b", 2**62)), (0, 1), 2**63)
    with pytest.raises(InvalidInput) as caught:
        start(space, strategy=strategy)
    assert caught.value.field == "layers"


@every
def test_a_vector_of_another_space_is_refused(strategy: StrategyName) -> None:
    with pytest.raises(InvalidInput, match="3 ranks for 14 layers"):
        learn(
            start(SPACES["tight"](), strategy=strategy), [Observation(RankVector((1, 1, 1)), 0.5)]
        )


@every
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


@every
def test_fewer_than_one_proposal_is_refused(strategy: StrategyName) -> None:
    for count in (0, -1):
        with pytest.raises(InvalidInput) as caught:
            propose(start(SPACES["tight"](), strategy=strategy), count=count)
        assert caught.value.field == "count"


@every
def test_a_lower_fidelity_teaches_but_is_not_held_against_a_vector(strategy: StrategyName) -> None:
    space = SPACES["tight"]()
    vectors = sorted(random_vectors(space, 16, seed=1), key=worth)
    state = start(space, strategy=strategy, trials=30)
    full = [Observation(vector, worth(vector)) for vector in vectors[::3]]
    short = [Observation(vector, worth(vector) - 50.0, fidelity=0.25) for vector in vectors]
    state = learn(state, [*full, *short])
    (worst, best), _ = predict(state, [vectors[1], vectors[-2]])  # trained for a quarter only
    assert best > worst
    assert min(one.score or 0.0 for one in full) - 5.0 < best < worth(vectors[-1]) + 5.0
    for proposal in propose(state, count=2)[1]:
        space.check(proposal.rank_vector)


@every
def test_anything_at_all_may_be_learned(strategy: StrategyName) -> None:
    """Repeats, failures, ties, infeasible vectors, huge scores, other seeds and fidelities."""
    space, rng = SPACES["fixed layers"](), np.random.default_rng(0)
    state = start(space, strategy=strategy, trials=30)
    seen = [
        Observation(
            RankVector(tuple(rng.choice([0, 1, 2, 4, 9], size=len(space.layers)).tolist())),
            [None, 0.0, 1.0, 1.0, -1e12, 1e9][at % 6],
            seed=at % 3,
            fidelity=[1.0, 1.0, 0.5, 0.125][at % 4],
        )
        for at in range(24)
    ]
    state = learn(state, [*seen, *seen[::5], Observation(space.uniform(), 1.0)])
    pending = [space.uniform(), space.uniform(), RankVector((9,) * len(space.layers))]
    for proposal in propose(state, count=2, pending=pending)[1]:
        space.check(proposal.rank_vector)
    for vector in leaders(state, 3):
        space.check(vector)
    mean, std = predict(state, [space.uniform(), space.cheapest()])
    assert np.isfinite([*mean, *std]).all()
    assert ModelState.from_bytes(state.to_bytes()) == state


@every
def test_equal_scores_are_no_reason_to_stop(strategy: StrategyName) -> None:
    space = home(strategy)
    state = start(space, strategy=strategy, trials=20)
    for _ in range(9):
        state, (proposal,) = propose(state)
        state = learn(state, [Observation(proposal.rank_vector, 0.5)])
    mean, std = predict(state, [space.uniform()])
    assert mean.tolist() == pytest.approx([0.5], abs=0.02)
    assert np.isfinite(std).all()


@every
def test_a_branch_learns_nothing_from_the_other(strategy: StrategyName) -> None:
    """Whatever is kept from one proposal to the next belongs to the observations behind it."""
    space, (stem, _) = home(strategy), trunk(strategy)
    left, _ = run(stem, 3)
    right = learn(stem, [Observation(space.cheapest(), 50.0), Observation(space.uniform(), 40.0)])
    for branch in (left, right, stem):
        assert propose(branch)[1] == propose(ModelState.from_bytes(branch.to_bytes()))[1]


@pytest.mark.parametrize(
    "strategy", [StrategyName.RECONSTRUCTION_ERROR, StrategyName.IMPORTANCE], ids=str
)
def test_a_strategy_that_reads_profiles_asks_for_them(strategy: StrategyName) -> None:
    with pytest.raises(InvalidInput, match="profiles do not tell") as caught:
        perfmodel.start(SPACES["tight"](), strategy=strategy)
    assert caught.value.field == "strategy"
    assert "rankadaptor profile" in caught.value.hint


def test_a_strategy_that_needs_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python itself calls not installed
    with pytest.raises(InvalidInput, match="needs torch") as caught:
        perfmodel.start(SPACES["tight"](), strategy=StrategyName.GP_OPTUNA)
    assert caught.value.field == "strategy"
    assert "rankadaptor[gp-optuna]" in caught.value.hint


def test_the_default_strategy_loads_no_other_ones_library() -> None:
    program = (
        "import sys; from perfmodel import *; from rankspace import *\n"
        "state = start(SearchSpace((Layer('a', 1), Layer('b', 1)), (0, 1), 1))\n"
        "propose(state)\n"
        "print(sorted({'sklearn', 'xgboost', 'optuna', 'cmaes', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.slow
def test_no_strategy_says_anything_on_the_screen() -> None:
    program = (
        "from perfmodel import *; from rankspace import *\n"
        "layers = tuple(Layer(f'{at}', 1 + at) for at in range(4))\n"
        f"for strategy in {[name.value for name in RUNNABLE]}:\n"
        "    state = start(SearchSpace(layers, (0, 1, 2, 4), 20), strategy=strategy)\n"
        "    for trial in range(11):\n"
        "        state, (one,) = propose(state)\n"
        "        state = learn(state, [Observation(one.rank_vector, float(trial))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bytes_of_another_version_are_refused() -> None:
    blob = start(SPACES["tight"]()).to_bytes().replace(b'"wire":1', b'"wire":999')
    with pytest.raises(UnsupportedVersion, match="999"):
        ModelState.from_bytes(blob)


@pytest.mark.parametrize("blob", [b"", b"{", b"\xff\xfe"])
def test_bytes_that_are_no_state_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidInput):
        ModelState.from_bytes(blob)
