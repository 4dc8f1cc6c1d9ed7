"""What single strategies promise beyond the contract."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from cmaes import CMA
from optuna.samplers import TPESampler

from perfmodel import ModelState, learn, predict, propose, random_vectors, start
from perfmodel.additive.belief import Belief
from perfmodel.strategies.comparable import comparable_scores
from perfmodel.strategies.rankadaptor import offline
from perfmodel.strategies.samplers.encoding import OrdinalEncoding, ScoredPoint
from perfmodel.strategies.samplers.optuna_study import OptunaStudy
from perfmodel.strategies.training_set import MinMaxScaling
from rankspace import Layer, Observation, RankVector, SearchSpace

pytestmark = pytest.mark.slow

SPACE = SearchSpace(tuple(Layer(f"{at}", 3 + at % 2) for at in range(8)), (0, 1, 2, 4, 8), 60)
VECTORS = (SPACE.uniform(), *random_vectors(SPACE, 30, seed=0))


def worth(vector: RankVector) -> float:
    return float(np.log1p(vector.ranks) @ np.array([4, 2, 1, 1, 0.5, 0.5, 0, 0]))


def searched(strategy: str, count: int) -> ModelState:
    state = start(SPACE, strategy=strategy, trials=60)
    return learn(state, [Observation(vector, worth(vector)) for vector in VECTORS[:count]])


def test_scores_of_lower_fidelities_move_to_the_highest_ones_scale() -> None:
    a, b, c, d = VECTORS[:4]
    seen = [
        Observation(a, 10.0),
        Observation(b, 12.0),
        Observation(a, 4.0, fidelity=0.5),  # gained 6 on the way up
        Observation(c, 5.0, fidelity=0.5),
        Observation(c, 1.0, fidelity=0.1),  # stands at 11 by now
        Observation(c, 3.0, fidelity=0.1),
        Observation(d, 4.0, fidelity=0.1),
    ]
    state = learn(start(SPACE, strategy="swap"), seen)
    assert comparable_scores(state).tolist() == [10.0, 12.0, 10.0, 11.0, 10.0, 12.0, 13.0]
    apart = learn(start(SPACE, strategy="swap"), [seen[1], seen[3], seen[6]])
    assert comparable_scores(apart).tolist() == [12.0, 12.0, 12.0]


def test_the_perceptron_is_taught_the_priors_opinion_offline() -> None:
    log_worth = np.log([8.0, 4.0, 1.0, 1.0, 0.5, 0.5, 0.1, 0.1])
    belief = Belief(tuple(log_worth - log_worth.mean()))
    network = offline(replace(start(SPACE, strategy="rankadaptor"), belief=belief))
    fresh = random_vectors(SPACE, 100, seed=77)
    believed = [
        float(np.exp(log_worth) @ (v / (v + 0.5))) for v in (np.array(f.ranks) for f in fresh)
    ]
    learned = network(MinMaxScaling.of(SPACE)(fresh))
    assert np.corrcoef(learned, believed)[0, 1] > 0.8


def test_cma_es_is_told_whole_generations_in_order() -> None:
    size = CMA(np.zeros(8), 1.0).population_size
    state = searched("cmaes", 2 * size + 3)
    optimizer = CMA(
        np.array(levels_of(SPACE.uniform())) / 4, 1 / 6, np.tile([0.0, 1.0], (8, 1)), 80
    )
    for begin in (0, size):
        generation = VECTORS[begin : begin + size]
        optimizer.tell([(np.array(levels_of(v)) / 4, -worth(v)) for v in generation])
    propose(state)
    run = vars(state.setup)["memory of strategies"]["cmaes"]
    assert run.optimizer.generation == 2
    assert run.optimizer.mean == pytest.approx(optimizer.mean)


def levels_of(vector: RankVector) -> list[int]:
    return [SPACE.ranks.index(rank) for rank in vector.ranks]


def test_what_runs_changes_what_optuna_offers() -> None:
    encoding = OrdinalEncoding.of(SPACE)
    study, running = OptunaStudy(encoding), [tuple(levels_of(v)) for v in VECTORS[20:30]]
    study.tell([ScoredPoint(tuple(levels_of(v)), worth(v)) for v in VECTORS[:15]])
    alone = [study.ask(TPESampler(seed=seed), []) for seed in range(8)]
    assert alone == [study.ask(TPESampler(seed=seed), []) for seed in range(8)]
    assert alone != [study.ask(TPESampler(seed=seed), running) for seed in range(8)]


def test_a_diverged_trial_says_bad_but_not_how_bad() -> None:
    predicted = [
        predict(learn(searched("gp", 12), [Observation(VECTORS[20], diverged)]), VECTORS)[0]
        for diverged in (-1e4, -1e9)
    ]
    assert predicted[0] == pytest.approx(predicted[1])
    assert predicted[0].min() > -5.0


def test_an_optuna_study_keeps_no_trace_of_what_ran() -> None:
    encoding = OrdinalEncoding.of(SPACE)
    scored = [ScoredPoint(tuple(levels_of(v)), worth(v)) for v in VECTORS[:15]]
    study, other = OptunaStudy(encoding), OptunaStudy(encoding)
    study.tell(scored[:12])
    study.ask(TPESampler(seed=1), [scored[13].point, scored[14].point])
    study.tell(scored[12:])
    other.tell(scored)
    running = [tuple(levels_of(VECTORS[20]))]
    assert study.ask(TPESampler(seed=5), running) == other.ask(TPESampler(seed=5), running)
    states = {trial.state for trial in study._study.get_trials(deepcopy=False)}
    assert states == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL}


@pytest.mark.parametrize("strategy", ["gp", "xgboost", "tpe", "rankadaptor", "cmaes"])
@pytest.mark.slow
def test_a_search_proposes_better_and_better_vectors(strategy: str) -> None:
    state, found = start(SPACE, strategy=strategy, trials=40), []
    for _ in range(30):
        state, (proposal,) = propose(state)
        found.append(worth(proposal.rank_vector))
        state = learn(state, [Observation(proposal.rank_vector, found[-1])])
    by_chance = [worth(vector) for vector in VECTORS[1:]]
    assert np.mean(found[-10:]) > np.mean(by_chance) + 0.5 * np.std(by_chance)
