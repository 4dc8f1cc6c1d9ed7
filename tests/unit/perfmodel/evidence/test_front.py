"""The front: nothing known beats it, the model's mean decides, and uniform is marked."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from perfmodel import learn, predict, propose, random_vectors, start
from perfmodel.allocation.feasible import every_vector
from perfmodel.evidence import front as front_module
from perfmodel.evidence.front import CEILINGS, front, undominated
from perfmodel.state import ModelState
from rankspace import Context, Layer, LayerProfile, Observation, RankVector, SearchSpace
from rankspace.front import FrontPoint
from rankspace.study import StrategyName

pytestmark = pytest.mark.slow

KINDS = ("q_proj", "v_proj", "up_proj")
WORTH = {"q_proj": 0.05, "v_proj": 1.0, "up_proj": 0.4}
SPACE = SearchSpace(
    tuple(Layer(f"{b}.{k}", 100 + 50 * (k == "up_proj"), b, k) for b in range(4) for k in KINDS),
    (0, 1, 2, 4, 8),
    2 * 4 * 350,
)


CONTEXT = Context(
    profiles=tuple(
        LayerProfile(layer.name, 0.5, 1.0, 1.0, 1.0, 0.1 + at % 3, 0.5, 0.1)
        for at, layer in enumerate(SPACE.layers)
    )
)


def truth(vector: RankVector, space: SearchSpace = SPACE) -> float:
    return sum(
        WORTH[layer.module or ""] * float(np.log1p(rank))
        for layer, rank in zip(space.layers, vector.ranks, strict=True)
    )


def searched(trials: int = 24, strategy: str = "additive", worth: float = 1.0) -> ModelState:
    rng = np.random.default_rng(0)
    state = start(SPACE, strategy=strategy, trials=trials, context=CONTEXT)
    for _ in range(trials):
        state, (proposal,) = propose(state)
        score = worth * truth(proposal.rank_vector) + 0.05 * float(rng.standard_normal())
        state = learn(state, [Observation(proposal.rank_vector, score)])
    return state


def surveyed() -> ModelState:
    """Random vectors of every price, so that the model knows what parameters are worth."""
    rng = np.random.default_rng(0)
    spaces = [replace(SPACE, max_parameters=SPACE.max_parameters * at // 4) for at in (1, 2, 3, 4)]
    vectors = [vector for space in spaces for vector in random_vectors(space, 12, seed=0)]
    noise = 0.05 * rng.standard_normal(len(vectors))
    seen = [Observation(v, truth(v) + float(e)) for v, e in zip(vectors, noise, strict=True)]
    return learn(
        start(SPACE, trials=60), [Observation(SPACE.uniform(), truth(SPACE.uniform())), *seen]
    )


def point(parameters: int, mean: float) -> FrontPoint:
    return FrontPoint(RankVector((parameters,)), parameters, mean, 0.1, None)


def test_only_what_nothing_beats_stays() -> None:
    points = [point(3, 1.0), point(1, 1.0), point(2, 0.5), point(4, 2.0), point(4, 1.5)]
    assert undominated(points) == (point(1, 1.0), point(4, 2.0))
    assert undominated([]) == ()


def test_there_is_no_front_before_a_score() -> None:
    assert front(start(SPACE)) is None
    failed = learn(start(SPACE), [Observation(SPACE.uniform(), None)])
    assert front(failed) is None


def test_the_front_is_near_the_true_one_and_beats_uniform_at_every_price() -> None:
    found = front(surveyed())
    assert found is not None
    assert len(found.points) >= 8
    assert all(SPACE.affords(one.rank_vector) for one in found.points)
    for same in found.uniforms[1:]:
        rivals = [one for one in found.points if one.parameters <= same.parameters]
        assert truth(rivals[-1].rank_vector) > truth(same.rank_vector)
    assert found.uniform.rank_vector == SPACE.uniform()
    assert [one.rank_vector.ranks[0] for one in found.uniforms] == [0, 1, 2]


def test_the_cheapest_that_matches_uniform_really_does() -> None:
    found = front(surveyed())
    assert found is not None
    assert found.cheapest is not None
    assert found.cheapest.parameters < found.uniform.parameters
    assert truth(found.cheapest.rank_vector) > truth(SPACE.uniform()) - 0.1
    assert f"{found.cheapest.parameters:,} parameters are predicted to be enough" in found.summary


def test_a_lucky_observation_does_not_make_the_front() -> None:
    """The mean decides: an outlier among many is not believed, and stays visible as a dot."""
    state = searched()
    poor = RankVector((8, 0, 0) * 4)  # everything on the useless kind
    lucky = learn(state, [Observation(poor, 6.0 * truth(poor) + 0.4)])
    found = front(lucky)
    assert found is not None
    assert poor not in [one.rank_vector for one in found.points]
    assert any(dot.score == pytest.approx(6.0 * truth(poor) + 0.4) for dot in found.tried)


def test_scores_of_other_seeds_are_left_out_of_the_observed() -> None:
    state = searched()
    again = learn(state, [Observation(SPACE.uniform(), 99.0, seed=1)])
    found = front(again)
    assert found is not None
    assert found.uniform.score is not None
    assert found.uniform.score < 20.0


def test_scores_of_trials_cut_short_are_left_out_too() -> None:
    state = searched()
    cut = RankVector((4, 0, 0) * 4)
    short = state.learned([Observation(cut, -99.0, fidelity=0.5)])
    found = front(short)
    assert found is not None
    assert len(found.tried) == len(state.tried)


@pytest.mark.parametrize("strategy", list(StrategyName))
def test_every_strategy_has_a_front(strategy: StrategyName) -> None:
    found = front(searched(8, strategy))
    assert found is not None
    assert found.points
    assert found.summary


def test_where_ranks_do_not_matter_nothing_is_promised() -> None:
    found = front(searched(worth=0.0))
    assert found is not None
    assert "No vector is predicted to beat uniform ranks" in found.summary


SMALL = SearchSpace(
    tuple(Layer(f"{b}.{k}", 100 + 50 * (k == "up_proj"), b, k) for b in range(2) for k in KINDS),
    (0, 1, 2, 4),
    2 * 2 * 350,
)


def test_the_front_reaches_the_models_exact_optimum_under_every_ceiling() -> None:
    """Every vector of a small space is compared. The truth has a curved sum, the model none."""
    seen = [
        Observation(vector, -((truth(vector, SMALL) - 1.5) ** 2))
        for vector in random_vectors(SMALL, 150, seed=0)
    ]
    state = learn(start(SMALL, trials=60), seen)
    found, everything = front(state), every_vector(SMALL)
    assert found is not None
    assert everything is not None
    means, _ = predict(state, everything)
    prices = np.array([SMALL.parameters(vector) for vector in everything])
    for at in range(CEILINGS):
        ceiling = SMALL.max_parameters - SMALL.max_parameters * at // CEILINGS
        best = max(one.mean for one in found.points if one.parameters <= ceiling)
        assert best == pytest.approx(means[prices <= ceiling].max(), abs=1e-9)


def test_the_optima_of_an_additive_model_are_those_of_its_predictions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = surveyed()
    known = front_module._utilities(state)
    monkeypatch.setattr(front_module, "StrategyName", Mock(ADDITIVE=None))
    read_off = front_module._utilities(state)
    uniform = [SPACE.ranks.index(2)]
    assert known - known[:, uniform] == pytest.approx(read_off, abs=1e-9)


def test_of_very_many_vectors_the_latest_and_the_best_are_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state, whole = surveyed(), front(surveyed())
    assert whole is not None
    monkeypatch.setattr(front_module, "SHOWN", 5)
    monkeypatch.setattr(front_module, "BEST", 7)
    found = front(state)
    assert found is not None
    assert [spot.score for spot in found.tried] == [spot.score for spot in whole.tried[-5:]]
    vectors = len(whole.tried)
    assert found.summary == f"{whole.summary} Compared were 12 of {vectors} tried vectors."
    scores = {seen.rank_vector: seen.score or 0.0 for seen in state.scored}
    earlier = sorted((scores[v] for v in list(scores)[:-5]), reverse=True)
    compared = front_module._compared(front_module._observed(state))
    assert sorted((scores[v] for v in compared[:-5]), reverse=True) == earlier[:7]
    assert [v for v in scores if v in set(compared)] == compared


def test_a_model_too_large_to_be_read_off_has_no_optima(monkeypatch: pytest.MonkeyPatch) -> None:
    state = searched(strategy="swap")
    monkeypatch.setattr(front_module, "CELLS", len(SPACE.layers) ** 2 * len(SPACE.ranks) - 1)
    monkeypatch.setattr(front_module, "predict", Mock(side_effect=AssertionError))
    assert front_module._optima(state) == []
