"""What runs beside the arms: random vectors, vectors without a search, other learning rates."""

import pytest

from perfmodel.evidence.verification import Arms, Controls, Run, Scored, next_step
from rankspace import Verdict
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer
from tests.unit.perfmodel.evidence.test_verification import (
    ARMS,
    ECONOMY,
    FIRST,
    FIVE,
    RANDOM,
    SECOND,
    SEED,
    SEEDS,
    SPACE,
    THIRD,
    UNIFORM,
    WINS,
    by_hand,
    verify,
)


def test_the_random_control_is_subtracted_from_the_winner() -> None:
    arms = Arms(ARMS.candidates, UNIFORM, random=RANDOM)
    verdict, _ = verify(by_hand({FIRST: WINS, RANDOM: [10.0]}), arms)
    assert verdict.versus_random is not None
    assert verdict.versus_random.gain == pytest.approx(20.0)
    assert verdict.versus_random.answer is Answer.BETTER


def test_the_random_control_chooses_as_the_search_does() -> None:
    arms = Arms(ARMS.candidates, UNIFORM, random=RANDOM)
    gains = {FIRST: WINS, RANDOM: [10.0], ECONOMY: [12.0]}
    verdict, scored = verify(by_hand(gains), arms, controls=Controls((ECONOMY,)))
    assert verdict.versus_random is not None
    assert verdict.versus_random.gain == pytest.approx(18.0)
    judged = [one for one in scored if one.seed >= SEED + CHOOSING_SEEDS]
    assert {one.rank_vector for one in judged} == {FIRST, UNIFORM, ECONOMY}


def test_the_controls_cost_the_winner_no_round() -> None:
    arms = Arms(ARMS.candidates, UNIFORM, random=RANDOM)
    score = by_hand({FIRST: [0.1, -0.1]})
    alone, _ = verify(score, arms)
    beside, scored = verify(score, arms, controls=Controls((ECONOMY,)))
    assert beside.versus_uniform == alone.versus_uniform
    assert len(scored) <= Verify().max_trials + CHOOSING_SEEDS


def test_controls_and_rates_run_when_the_answer_is_there_and_are_told_with_it() -> None:
    ran: list[Run] = []
    controls = Controls(vectors={"o_proj": THIRD, "down_proj": SECOND}, rates=(0.33, 3.0))
    score = by_hand({FIRST: WINS, THIRD: [10.0], SECOND: [20.0]})
    scored: list[Scored] = []
    while True:
        step = next_step(ARMS, scored, FIVE, SEEDS, space=SPACE, trials=40, controls=controls)
        if isinstance(step, Verdict):
            break
        ran += step
        scored += [
            Scored(
                run.rank_vector,
                run.seed,
                (score(run.rank_vector, run.seed) or 0.0) * run.rate,
                rate=run.rate,
            )
            for run in step
        ]
    assert len(ran) == len(set(ran)) == FIVE.max_trials + 2 * 5 + 2 * 2
    assert [run.rate for run in ran[-4:]] == [0.33, 0.33, 3.0, 3.0]
    assert step.versus_uniform == verify(score, plan=FIVE)[0].versus_uniform
    gains = {one.name: one.comparison.gain for one in step.controls if one.comparison}
    assert gains == {"o_proj": pytest.approx(20.0), "down_proj": pytest.approx(10.0)}
    assert step.rates is not None
    assert [point.rate for point in step.rates.points] == [0.33, 1.0, 3.0]
    assert [point.gain for point in step.rates.points] == pytest.approx([9.9, 30.0, 90.0])


def test_a_lead_over_random_that_luck_explains_is_not_better() -> None:
    arms = Arms(ARMS.candidates, UNIFORM, random=RANDOM)
    score = by_hand({FIRST: WINS, RANDOM: [10.0]})
    for luck, answer in [(18.0, Answer.BETTER), (20.0, Answer.NO_DIFFERENCE_SHOWN)]:
        verdict, _ = verify(score, arms, controls=Controls(luck=luck))
        assert verdict.versus_random is not None
        assert verdict.versus_random.answer is answer
        assert verdict.luck == luck
