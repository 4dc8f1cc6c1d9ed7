"""What ``rankadaptor`` learns round by round, and when it takes its predictions for good."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from perfmodel import ModelState, learn, predict, propose, random_vectors, start
from perfmodel.regressors.apprentice import EACH, LIKE, ROWS, Apprentice, Unit, rounds
from perfmodel.regressors.perceptron import Perceptron
from perfmodel.strategies import rankadaptor
from perfmodel.strategies.rankadaptor import FIRST, ROUNDS, TOLERANCE, has_converged, online
from perfmodel.strategies.training_set import TrainingSet
from rankspace import Layer, Observation, RankVector, SearchSpace

SPACE = SearchSpace(tuple(Layer(f"{at}", 3 + at % 2) for at in range(8)), (0, 1, 2, 4, 8), 60)
VECTORS = random_vectors(SPACE, 24, seed=0)
RNG = np.random.default_rng(5)
FEATURES, SCORES = RNG.random((40, 3)), RNG.normal(size=40)


def fresh() -> Apprentice:
    return Apprentice(Perceptron.fresh([3, 8, 8], np.random.default_rng(0)))


def fresh_of(state: ModelState) -> Apprentice:
    return Apprentice(rankadaptor.offline(state))


def worth(vector: RankVector) -> float:
    return float(np.log1p(vector.ranks) @ np.array([4, 2, 1, 1, 0.5, 0.5, 0, 0]))


def state_of(count: int, first: int = 0) -> ModelState:
    seen = [Observation(vector, worth(vector)) for vector in VECTORS[first : first + count]]
    return learn(start(SPACE, strategy="rankadaptor", trials=60), seen)


def test_a_round_goes_on_from_the_weights_at_hand() -> None:
    begun = fresh()
    for count in range(2, 40):
        begun = begun.taught(FEATURES[:count], SCORES[:count], Unit(), count - begun.count)
    kept = begun.taught(FEATURES, SCORES, Unit(), 1)
    anew = fresh().taught(FEATURES, SCORES, Unit(), 40)

    def error(one: Apprentice) -> float:
        return float(np.mean((one.network(FEATURES) - SCORES) ** 2))

    assert error(kept) < 0.5 * error(anew)


def test_a_round_s_error_is_of_predictions_made_before_its_rows_were_learned() -> None:
    before = fresh().taught(FEATURES[:10], SCORES[:10], Unit(), 10)
    after = before.taught(FEATURES[:12], SCORES[:12], Unit(), 2)
    missed = before.network(FEATURES[10:12]) - SCORES[10:12]
    expected = float(np.sqrt(np.mean(missed**2)))
    assert after.count == 12
    assert len(after.errors) == 2
    assert after.errors[-1] == pytest.approx(expected)
    assert after.root_mean_square(1) == pytest.approx(expected)
    both = np.mean(np.square([before.errors[0], expected]))
    assert after.root_mean_square(2) == pytest.approx(float(np.sqrt(both)))
    assert after.root_mean_square(3) is None


def test_one_large_round_says_no_more_than_one_round() -> None:
    """A long search has rounds of many trials: one of them that is foretold may be luck."""
    apprentice = fresh()
    for count in (10, 20, 24, 40):
        apprentice = apprentice.taught(
            FEATURES[:count], SCORES[:count], Unit(), count - apprentice.count
        )
    assert len(apprentice.errors) == ROUNDS
    lucky = apprentice.network(FEATURES)
    lucky_round = apprentice.taught(FEATURES, lucky, Unit(), 16)
    assert lucky_round.errors[-1] == pytest.approx(0.0, abs=1e-9)
    assert not has_converged(lucky_round)


def test_another_unit_changes_the_answers_and_not_what_they_mean() -> None:
    taught = fresh().taught(FEATURES, SCORES, Unit(centre=5.0, scale=2.0), 40)
    in_nats = 5.0 + 2.0 * taught.network(FEATURES)
    other = taught.within(Unit(centre=4.0, scale=0.5))(FEATURES)
    assert 4.0 + 0.5 * other == pytest.approx(in_nats)


def test_an_outlier_that_comes_or_goes_does_not_blow_up_the_weights() -> None:
    taught = fresh().taught(FEATURES, SCORES, Unit(scale=1e9), 40)
    assert taught.within(Unit()) is taught.network
    shifted = fresh().taught(FEATURES, SCORES, Unit(centre=1e9), 40).within(Unit())
    assert np.abs(shifted(FEATURES)).max() < 3 * LIKE


def test_a_long_study_is_some_hundred_rounds() -> None:
    assert rounds(2, 5) == [2, 3, 4, 5]
    assert rounds(2, 1) == []
    assert rounds(2, EACH) == list(range(2, EACH + 1))
    assert len(rounds(2, 100_000)) < 600
    later = [at for at in rounds(2, 100_000) if at >= EACH]
    assert all(last / 64 - 1 < at - last <= last / 64 for last, at in pairwise(later))


def test_a_round_learns_from_the_latest_rows_alone() -> None:
    count = ROWS + 50
    many, scores = RNG.random((count, 3)), RNG.normal(size=count)
    whole = fresh().taught(many, scores, Unit(), 1).network(FEATURES)
    latest = fresh().taught(many[50:], scores[50:], Unit(), 1).network(FEATURES)
    assert latest == pytest.approx(whole)


def test_all_new_rows_are_foretold_however_many_there_are() -> None:
    """Beyond 128 trials a round may come after several."""
    state = state_of(10)
    assert len(online(state).errors) == 9  # the first round has two trials
    apart = rankadaptor._next(state, rankadaptor.Schooling(fresh_of(state)), state.scored)
    trained = TrainingSet.of(state)
    assert trained is not None
    missed = trained.scores - rankadaptor.offline(state)(trained.features())
    assert apart.apprentice.count == 10
    assert apart.apprentice.errors == pytest.approx([float(np.sqrt(np.mean(missed**2)))])


def test_batches_and_restarts_change_no_weight() -> None:
    one_by_one = start(SPACE, strategy="rankadaptor", trials=60)
    for vector in VECTORS[:12]:
        one_by_one = learn(one_by_one, [Observation(vector, worth(vector))])
        online(one_by_one)
    at_once = online(ModelState.from_bytes(one_by_one.to_bytes()))
    assert at_once.errors == online(one_by_one).errors
    for mine, its in zip(at_once.network.weights, online(one_by_one).network.weights, strict=True):
        assert (mine == its).all()


def test_only_rounds_that_are_new_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[int] = []
    whole = rankadaptor._next

    def counting(*given: object) -> object:
        learned.append(len(given[2]))  # type: ignore[arg-type]
        return whole(*given)  # type: ignore[arg-type]

    state = state_of(10)
    online(state)
    monkeypatch.setattr(rankadaptor, "_next", counting)
    online(learn(state, [Observation(VECTORS[10], worth(VECTORS[10]))]))
    assert learned == [11]


def test_the_search_converges_when_the_last_rounds_are_foretold_and_not_by_one_lucky_hit() -> None:
    good, bad = 0.5 * TOLERANCE, 4.0 * TOLERANCE
    enough = FIRST + ROUNDS

    def after(errors: list[float], count: int = enough) -> bool:
        return has_converged(replace(fresh(), count=count, errors=tuple(errors)))

    assert after([bad] * 8 + [good] * ROUNDS)
    assert not after([bad] * 3 + [good])
    assert not after([bad] + [good] * (ROUNDS - 1))
    assert not after([good] * ROUNDS, count=enough - 1)
    assert not after([good] * (ROUNDS - 1))


def test_a_prediction_is_as_uncertain_as_the_latest_ones_were_wrong() -> None:
    state = state_of(20)
    _, std = predict(state, VECTORS[20:])
    scale = np.std([worth(vector) for vector in VECTORS[:20]])
    error = online(state).root_mean_square(len(online(state).errors))
    assert error is not None
    assert std == pytest.approx([error * scale] * len(VECTORS[20:]))


def test_what_was_foretold_makes_the_search_refine_the_best() -> None:
    flat = learn(start(SPACE, strategy="rankadaptor"), [Observation(v, 1.0) for v in VECTORS[:16]])
    wild = learn(state_of(12), [Observation(VECTORS[20], -30.0)])
    assert "neighbours of the best" in propose(flat)[1][0].reason
    assert "random ones" in propose(wild)[1][0].reason
