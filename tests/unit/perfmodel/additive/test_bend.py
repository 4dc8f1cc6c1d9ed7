import numpy as np
import pytest

from perfmodel.additive.basis import Basis
from perfmodel.additive.curvature import LEAST, Bend
from perfmodel.additive.posterior import Posterior
from perfmodel.allocation.random_vectors import random_vectors
from rankspace import Layer, Observation, SearchSpace

SPACE = SearchSpace(tuple(Layer(f"{i}", 5) for i in range(12)), (0, 1, 2, 4), 120)


def test_the_column_is_centred_on_the_trials_and_square_in_the_sum() -> None:
    features = np.random.default_rng(0).standard_normal((LEAST, 3))
    bend = Bend.of(features, np.array([1.0, 2.0, 0.0]))
    assert bend.column(features).mean() == pytest.approx(0.0)
    assert bend.column(features + np.array([0.0, 0.0, 9.0])) == pytest.approx(bend.column(features))
    level = bend.centre + 2.0 * bend.spread
    assert bend.column(np.array([[level, 0.0, 0.0]])) == pytest.approx(1.5)


def test_few_trials_or_equal_sums_have_no_bend() -> None:
    features = np.ones((LEAST, 2))
    assert not Bend.of(features, np.ones(2)).column(features).any()
    assert not Bend.of(np.eye(LEAST)[:5, :2], np.ones(2)).column(np.eye(2)).any()


def test_substituting_layers_are_predicted_better_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(SPACE, 90, seed=1)
    worth = np.random.default_rng(3).exponential(1.0, 12)
    ranks = np.array([vector.ranks for vector in vectors])
    total = (worth * ranks / (ranks + 1.5)).sum(axis=1)
    standing = (total - total.mean()) / total.std()
    scores = standing - 0.25 * standing**2  # the last gains are small
    seen = [Observation(v, s) for v, s in zip(vectors, scores.tolist(), strict=True)]

    def error() -> float:
        mean, _ = Posterior.of(Basis.of(SPACE), tuple(seen[:60])).predict(vectors[60:])
        return float(np.mean((mean - scores[60:]) ** 2))

    bent = error()
    monkeypatch.setattr("perfmodel.additive.curvature.LEAST", 1000)
    assert bent < 0.9 * error()
