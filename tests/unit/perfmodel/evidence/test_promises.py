"""A front promises what is to be verified, and what was refuted no more."""

from dataclasses import replace

import pytest

from perfmodel.evidence.front import front
from perfmodel.evidence.front_summary import summary
from perfmodel.evidence.verification import Scored
from perfmodel.state import ModelState
from rankspace import Comparison, RankVector
from rankspace.calibration import Trust
from rankspace.front import Checked, Finding, Front, FrontPoint, Promise
from rankspace.verdict import Answer
from tests.unit.perfmodel.evidence.test_front import SPACE, surveyed

LOST = Comparison(-0.0213, -0.04, -0.0026, 6, Answer.WORSE)
WON = Comparison(0.0596, 0.04, 0.0792, 6, Answer.BETTER)


@pytest.fixture(scope="module")
def state() -> ModelState:
    return surveyed()


def made(state: ModelState, *found: Checked, trust: Trust = Trust.HOLDS) -> Front:
    shown = front(state, checked=found, trust=trust)
    assert shown is not None
    return shown


def promised(state: ModelState) -> RankVector:
    cheapest = made(state).cheapest
    assert cheapest is not None
    return cheapest.rank_vector


def judged(
    vector: RankVector,
    finding: Finding,
    promise: Promise = Promise.ENOUGH,
    comparison: Comparison = LOST,
) -> Checked:
    return Checked(vector, SPACE.parameters(vector), promise, comparison, finding)


def test_a_prediction_is_to_be_verified(state: ModelState) -> None:
    said = made(state).summary
    assert "give or take" in said
    assert said.count("to be verified") == 2
    assert not made(state).checked


@pytest.mark.parametrize(
    ("finding", "word"), [(Finding.REFUTED, "Refuted"), (Finding.OPEN, "Not confirmed")]
)
def test_what_did_not_hold_is_said_and_nothing_as_cheap_is_promised(
    state: ModelState, finding: Finding, word: str
) -> None:
    vector = promised(state)
    found = judged(vector, finding)
    shown = made(state, found)
    assert shown.checked == (found,)
    assert shown.cheapest is None
    price = f"{SPACE.parameters(vector):,} parameters"
    assert f"{price} are predicted to be enough" not in shown.summary
    assert f"{word}: that the vector of {price} is enough to match uniform ranks" in shown.summary
    assert "on 6 fresh seeds it scored -0.0213" in shown.summary
    assert "95 % interval -0.0400 to -0.0026" in shown.summary


def test_a_refuted_vector_leaves_dearer_ones_promised(state: ModelState) -> None:
    cheap = RankVector((0, 1, 0) * 4)
    assert SPACE.parameters(cheap) < SPACE.parameters(promised(state))
    shown = made(state, judged(cheap, Finding.REFUTED))
    assert shown.cheapest is not None
    assert shown.cheapest.rank_vector == promised(state)


def test_what_was_confirmed_is_not_predicted_any_more(state: ModelState) -> None:
    vector = promised(state)
    kept = judged(vector, Finding.CONFIRMED, comparison=replace(WON, gain=0.001))
    shown = made(state, kept)
    assert shown.cheapest is not None
    assert shown.cheapest.rank_vector == vector
    assert f"{SPACE.parameters(vector):,} parameters are enough to match them" in shown.summary
    assert "as verified" in shown.summary


def test_the_winner_s_gain_is_the_verified_one(state: ModelState) -> None:
    best = made(state).points[-1].rank_vector
    shown = made(state, judged(best, Finding.CONFIRMED, Promise.BETTER, WON))
    assert "is predicted" not in shown.summary.partition(".")[0]
    assert "has been verified" in shown.summary
    assert "is better than uniform ranks; on 6 fresh seeds it scored +0.0596" in shown.summary


@pytest.mark.parametrize("finding", [Finding.OPEN, Finding.REFUTED])
def test_a_best_vector_that_was_not_confirmed_is_not_called_verified(
    state: ModelState, finding: Finding
) -> None:
    best = made(state).points[-1]
    said = made(state, judged(best.rank_vector, finding, Promise.BETTER)).summary
    assert f"{best.parameters:,} parameters, was {finding}: see below." in said
    assert "verified" not in said.replace("to be verified", "")


def test_a_cheap_vector_that_was_not_confirmed_is_neither_verified_nor_to_be(
    state: ModelState,
) -> None:
    vector = promised(state)
    said = made(state, judged(vector, Finding.OPEN, Promise.BETTER)).summary
    price = f"{SPACE.parameters(vector):,} parameters"
    assert f"{price} are predicted to be enough to match them, see below: " in said
    assert said.count("to be verified") == 1  # the best one


def test_a_cheaper_winner_that_was_confirmed_is_the_cheapest(state: ModelState) -> None:
    winner = RankVector((0, 1, 0) * 4)
    assert SPACE.parameters(winner) < SPACE.parameters(promised(state))
    shown = made(state, judged(winner, Finding.CONFIRMED, Promise.BETTER, WON))
    assert shown.cheapest is not None
    assert shown.cheapest.rank_vector == winner
    price = f"{SPACE.parameters(winner):,} parameters"
    assert f"{price} are enough to match them, as verified" in shown.summary


def test_a_winner_as_dear_as_uniform_saves_nothing(state: ModelState) -> None:
    dear = RankVector((2, 2, 2) * 3 + (4, 0, 2))
    assert SPACE.parameters(dear) == SPACE.parameters(SPACE.uniform())
    broken = judged(promised(state), Finding.OPEN)
    shown = made(state, judged(dear, Finding.CONFIRMED, Promise.BETTER, WON), broken)
    assert shown.cheapest is None


def test_where_nothing_is_better_no_error_is_quoted_that_is_not_known() -> None:
    uniform = FrontPoint(SPACE.uniform(), 100, 1.0, 0.5, None)
    best = FrontPoint(RankVector((0, 2, 4) * 4), 90, 1.1, 0.5, None)
    said = {trust: summary(best, uniform, None, (), trust) for trust in Trust}
    assert "safely predicted to beat uniform ranks." in said[Trust.NARROW]
    assert "the prediction's error" not in said[Trust.NARROW]
    assert "by more than the prediction's error" in said[Trust.HOLDS]


def test_intervals_that_are_too_narrow_are_not_quoted(state: ModelState) -> None:
    shown = made(state, trust=Trust.NARROW)
    assert "give or take" not in shown.summary
    assert "too narrow" in shown.summary
    assert shown.trust is Trust.NARROW
    for trust in (Trust.HOLDS, Trust.WIDE, Trust.TOO_EARLY):
        assert "give or take" in made(state, trust=trust).summary


def test_the_predictions_have_learned_what_was_verified(state: ModelState) -> None:
    vector, uniform = promised(state), SPACE.uniform()
    runs = [
        Scored(one, seed, score)
        for seed in range(100, 106)
        for one, score in ((uniform, 0.0), (vector, -3.0))
    ]
    before, after = front(state), front(state, runs)
    assert before is not None
    assert after is not None
    assert before.cheapest is not None
    dots = {dot.score: dot.mean for dot in after.tried}
    assert dots.keys() == {dot.score for dot in before.tried}  # what the search saw stays
    assert after.cheapest is None or after.cheapest.rank_vector != vector
