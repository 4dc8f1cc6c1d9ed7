import numpy as np
import pytest

from perfmodel import ModelState, learn, propose, random_vectors, start
from perfmodel.additive.guard import left_out_errors
from perfmodel.additive.guard import misleads as misleading
from perfmodel.strategies.blending.beliefs import Beliefs
from rankspace import Layer, Observation, SearchSpace

SPACE = SearchSpace(
    tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(3) for m in "qvo"), (0, 1, 2, 4), 9 * 5 * 2
)


def told(additive: bool, count: int = 12) -> ModelState:
    """A state whose scores are a sum over layers, or the parity of one that no sum can fit."""
    vectors = random_vectors(SPACE, count, seed=13)
    ranks = np.array([vector.ranks for vector in vectors])
    scores = np.sqrt(ranks) @ np.arange(9) if additive else (-1.0) ** (ranks > 1).sum(axis=1)
    seen = [Observation(v, s) for v, s in zip(vectors, scores.tolist(), strict=True)]
    return learn(start(SPACE, trials=40), seen)


def test_a_model_that_predicts_is_trusted() -> None:
    state = told(additive=True)
    assert not misleads(state)
    assert "sample" in propose(state)[1][0].reason


def test_a_model_worse_than_none_is_overruled_and_says_so() -> None:
    state = told(additive=False)
    assert misleads(state)
    assert "worse than no model" in propose(state)[1][0].reason


def test_few_scores_convict_nobody() -> None:
    assert not misleads(told(additive=False, count=5))
    assert not misleads(start(SPACE))


def misleads(state: ModelState) -> bool:
    return state.posterior is not None and state.posterior.fit.misleads


@pytest.mark.parametrize("parameters", [[1e9] * 9, [1e9 + 1e-7 * at for at in range(9)]])
def test_a_parameter_count_that_never_varies_explains_nothing(parameters: list[float]) -> None:
    scores = np.random.default_rng(0).standard_normal(9)
    assert (left_out_errors(scores, np.array(parameters)) == left_out_errors(scores)).all()


def test_the_left_out_error_equals_refitting_without_each_trial() -> None:
    rng = np.random.default_rng(0)
    feature, scores = 1e6 + rng.standard_normal(9), rng.standard_normal(9)
    errors = []
    for out in range(9):
        keep = np.arange(9) != out
        slope, level = np.polyfit(feature[keep] - 1e6, scores[keep], 1)
        errors.append(scores[out] - (slope * (feature[out] - 1e6) + level))
    assert left_out_errors(scores, feature) == pytest.approx(np.array(errors), rel=1e-5)


def test_diverged_trials_neither_convict_nor_acquit() -> None:
    rng = np.random.default_rng(0)
    scores, parameters = rng.standard_normal(40), rng.standard_normal(40)
    good, bad = 0.3 * rng.standard_normal(40), 1.5 * rng.standard_normal(40)
    assert not misleading(good, scores, parameters)
    assert misleading(bad, scores, parameters)
    scores[[3, 17]] -= 100.0
    for errors in (good, bad):
        errors[[3, 17]] = 130.0  # a sharp model is further off than the plain mean
    assert not misleading(good, scores, parameters)
    assert misleading(bad, scores, parameters)


def test_where_most_scores_are_tied_all_of_them_count() -> None:
    """No deviation can be told; what is kept must not be the tied ones alone."""
    parameters = np.random.default_rng(0).standard_normal(20)
    scores = np.repeat([0.0, 1.0], [12, 8])
    errors = np.where(scores > 0.0, 0.75, 0.05)  # of those apart it foresees but a quarter
    assert not misleading(errors, scores, parameters)
    assert misleading(1.3 * errors, scores, parameters)


def test_the_first_trials_of_a_search_that_has_closed_in_count_where_they_were_foreseen() -> None:
    """The latest trials scatter like noise: about them alone no model is better than none."""
    rng = np.random.default_rng(0)
    early, late = rng.uniform(-40.0, -15.0, 12), 0.3 * rng.standard_normal(30)
    scores, parameters = np.concatenate([early, late]), rng.standard_normal(42)
    errors = 0.4 * rng.standard_normal(42)
    assert not misleading(errors, scores, parameters)
    assert misleading(errors[12:], scores[12:], parameters[12:])
    assert misleading(np.where(scores < -10.0, -scores, errors), scores, parameters)


def test_scores_that_differ_by_rounding_convict_nobody() -> None:
    vectors = random_vectors(SPACE, 14, seed=13)
    parity = (-1.0) ** np.array([sum(vector.ranks) for vector in vectors])
    for strategy in ("additive", "blend"):
        seen = [
            Observation(vector, 2.5 + 1e-12 * sign)
            for vector, sign in zip(vectors, parity.tolist(), strict=True)
        ]
        state = learn(start(SPACE, strategy=strategy, trials=40), seen)
        assert not misleads(state)
    beliefs = Beliefs.of(state)
    assert beliefs is not None
    assert beliefs.review.rho == 1.0
