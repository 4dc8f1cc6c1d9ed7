"""The regressors behind the strategies, against formulas written down again."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from perfmodel.regressors.boosted_trees import BoostedTrees
from perfmodel.regressors.gaussian_process import NOISES, GaussianProcess
from perfmodel.regressors.perceptron import Perceptron
from perfmodel.strategies.gp import ROWS, _best_and_latest, improvement

RNG = np.random.default_rng(3)
FEATURES = RNG.random((30, 5))
SCORES = np.log1p(4.0 * FEATURES) @ np.array([3.0, 1.0, 0.5, 0.0, 0.0]) + 0.05 * RNG.normal(size=30)


def test_a_gaussian_process_is_its_textbook_formula() -> None:
    process = GaussianProcess.fit(FEATURES, SCORES)
    where = RNG.random((7, 5))
    kernel, noise = process.kernel, process.noise
    both = kernel(FEATURES, FEATURES) + noise * np.eye(30)
    cross = kernel(where, FEATURES)
    mean, std = process.predict(where)
    expected = process.mean + cross @ np.linalg.solve(both, SCORES - process.mean)
    variance = np.diag(kernel(where, where) - cross @ np.linalg.solve(both, cross.T))
    assert mean == pytest.approx(expected)
    assert std**2 == pytest.approx(process.amplitude * variance, abs=1e-9)
    assert kernel.diagonal(where) == pytest.approx(np.diag(kernel(where, where)))


def test_evidence_is_the_likelihood_at_its_best_amplitude() -> None:
    first, *others = GaussianProcess._at(
        GaussianProcess.fit(FEATURES, SCORES).kernel, NOISES, FEATURES, SCORES, np.ones(30)
    )

    def likelihood(one: GaussianProcess) -> float:
        covariance = one.kernel(FEATURES, FEATURES) + one.noise * np.eye(30)
        mean = np.full(30, one.mean)
        return float(multivariate_normal.logpdf(SCORES, mean, one.amplitude * covariance))

    for other in others:
        gain = likelihood(other) - likelihood(first)
        assert other.evidence - first.evidence == pytest.approx(gain)


def test_a_believed_trial_changes_no_mean_but_is_known() -> None:
    process, where = GaussianProcess.fit(FEATURES, SCORES), RNG.random((3, 5))
    told = process.believing(where)
    (mean, std), (told_mean, told_std) = process.predict(where), told.predict(where)
    assert told_mean == pytest.approx(mean, abs=0.02)
    assert (told_std < 0.9 * std).all()


def test_expected_improvement_is_the_mean_of_what_exceeds_the_best() -> None:
    draws = 1.0 + 0.5 * np.random.default_rng(0).normal(size=400_000)
    expected = np.maximum(draws - 1.3, 0.0).mean()
    assert improvement(np.array([1.0]), np.array([0.5]), 1.3)[0] == pytest.approx(
        expected, rel=0.02
    )


def test_a_long_study_is_learned_from_its_best_and_latest_trials() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    rows = _best_and_latest(scores)
    assert len(set(rows.tolist())) == len(rows) == ROWS
    assert set(range(1000 - ROWS // 2, 1000)) <= set(rows.tolist())
    assert int(np.argmax(scores)) in rows
    assert _best_and_latest(scores[:7]).tolist() == list(range(7))


def test_the_perceptrons_gradient_is_the_slope_of_its_error() -> None:
    network = Perceptron.fresh([5, 4, 3], np.random.default_rng(0))

    def error(weights: tuple[np.ndarray, ...]) -> float:
        return float(np.mean((Perceptron(weights)(FEATURES) - SCORES) ** 2))

    for layer, gradient in enumerate(network._gradients(FEATURES, SCORES)):
        for at in np.ndindex(gradient.shape):
            moved = [weights.copy() for weights in network.weights]
            moved[layer][at] += 1e-6
            slope = (error(tuple(moved)) - error(network.weights)) / 1e-6
            assert gradient[at] == pytest.approx(slope, abs=1e-3)


@pytest.mark.parametrize("kind", ["perceptron", "trees", "process"])
def test_every_regressor_learns_a_saturating_score(kind: str) -> None:
    where = np.random.default_rng(9).random((200, 5))
    truth = np.log1p(4.0 * where) @ np.array([3.0, 1.0, 0.5, 0.0, 0.0])
    if kind == "perceptron":
        fresh = Perceptron.fresh([5, 32, 32, 32], np.random.default_rng(0))
        found = fresh.trained(FEATURES, SCORES, epochs=200, rate=1e-2)(where)
    elif kind == "trees":
        found = BoostedTrees.fit(FEATURES, SCORES, np.random.default_rng(0)).predict(where)[0]
    else:
        found = GaussianProcess.fit(FEATURES, SCORES).predict(where)[0]
    assert np.corrcoef(found, truth)[0, 1] > 0.85


def test_trees_never_predict_less_of_more() -> None:
    noise = np.random.default_rng(1).normal(size=30)
    trees = BoostedTrees.fit(FEATURES, noise, np.random.default_rng(0))
    low = np.random.default_rng(2).random((100, 5))
    high = low + np.random.default_rng(3).random((100, 5)) * (1.0 - low)
    assert (trees.predict(high)[0] >= trees.predict(low)[0] - 1e-6).all()


def test_on_the_same_trials_a_process_is_itself_and_loud_trials_hardly_count() -> None:
    process, where = GaussianProcess.fit(FEATURES, SCORES), FEATURES[:5] + 0.1
    again = process.on(FEATURES, SCORES, np.ones(30))
    assert np.allclose(again.predict(where), process.predict(where))
    loud = np.where(np.arange(30) % 3 == 0, 1e9, 1.0)
    kept = loud == 1.0
    without = process.on(FEATURES[kept], SCORES[kept], np.ones(20))
    assert np.allclose(
        process.on(FEATURES, SCORES, loud).predict(where)[0], without.predict(where)[0]
    )
    fitted = GaussianProcess.fit(FEATURES, SCORES, np.ones(30))
    assert fitted.evidence == pytest.approx(process.evidence)


def test_what_is_left_out_is_predicted_as_if_it_had_never_been_seen() -> None:
    process = GaussianProcess.fit(FEATURES, SCORES)
    folds = [np.arange(first, 30, 5) for first in range(5)]
    errors = process.left_out(folds)
    for fold in folds:
        kept = np.setdiff1d(np.arange(30), fold)
        cross = process.kernel(FEATURES[fold], FEATURES[kept])
        both = process.kernel(FEATURES[kept], FEATURES[kept]) + process.noise * np.eye(len(kept))
        expected = process.mean + cross @ np.linalg.solve(both, SCORES[kept] - process.mean)
        assert errors[fold] == pytest.approx(SCORES[fold] - expected, abs=1e-8)
