"""A long history learned in pieces says what it says when learned at once."""

import numpy as np
import pytest

from perfmodel import ModelState, digest, learn, propose, random_vectors, start
from rankspace import Layer, Observation, SearchSpace

pytestmark = pytest.mark.slow

LAYERS = tuple(Layer(f"{i}", 3 + i, i // 2, "qv"[i % 2]) for i in range(8))
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4), 2 * sum(layer.parameters_per_rank for layer in LAYERS))
EAGER = 12
"""Scores that are each refitted: few, so that short histories have more."""


@pytest.fixture(autouse=True)
def _soon_not_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfmodel.additive.posterior.EAGER", EAGER)


def _learned(count: int, strategy: str = "additive") -> ModelState:
    rng = np.random.default_rng(0)
    vectors = random_vectors(SPACE, count, seed=1)
    scores = [float(np.log1p(v.ranks).sum() + 0.1 * rng.standard_normal()) for v in vectors]
    seen = [Observation(v, s) for v, s in zip(vectors, scores, strict=True)]
    failed = Observation(SPACE.uniform(), None)
    return learn(start(SPACE, strategy=strategy), [failed, *seen])


@pytest.mark.parametrize("count", [0, 1, 2, EAGER - 1, EAGER, EAGER + 1, 5 * EAGER])
def test_pieces_and_whole_agree_to_the_last_bit(count: int) -> None:
    whole, pieces = _learned(count), _learned(count)
    steps = 1
    while not digest(pieces):
        steps += 1
    assert steps > count / 8  # a refit each, first of each score, then of each tenth more
    assert (whole.posterior is None) == (pieces.posterior is None) == (count < 2)
    if whole.posterior is not None and pieces.posterior is not None:
        assert np.array_equal(whole.posterior.gaussian.mean, pieces.posterior.gaussian.mean)
    assert propose(whole)[1] == propose(pieces)[1]


def test_a_state_half_digested_is_equal_and_learns_on() -> None:
    whole, pieces = _learned(2 * EAGER), _learned(2 * EAGER)
    assert not digest(pieces)
    assert pieces == whole
    more = [Observation(vector, 1.0) for vector in random_vectors(SPACE, 5, seed=2)]
    whole, pieces = learn(whole, more), learn(pieces, more)
    while not digest(pieces):
        pass
    assert propose(whole)[1] == propose(pieces)[1]


def test_other_strategies_have_nothing_to_digest() -> None:
    state = _learned(30, "swap")
    assert digest(state)
    assert "posterior" not in vars(state)


def test_a_trial_below_the_model_without_adapter_has_failed() -> None:
    none = SPACE.cheapest()
    assert not any(none.ranks)
    good, lost = random_vectors(SPACE, 2, seed=4)
    seen = [Observation(good, 0.5), Observation(lost, -3.0), Observation(none, -1.0)]
    state = learn(start(SPACE), seen[:2])
    assert len(state.scored) == 2  # nobody knows yet
    state = learn(state, seen[2:])
    assert [one.rank_vector for one in state.scored] == [good, none]
    further = learn(state, [Observation(lost, -1.5), Observation(lost, -0.5)])
    assert [one.score for one in further.scored] == [0.5, -1.0, -0.5]
    at_once = learn(start(SPACE), further.observations)
    assert at_once.scored == further.scored
    assert propose(at_once)[1] == propose(further)[1]
