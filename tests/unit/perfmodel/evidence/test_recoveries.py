"""The verdict at the whole recipe: what it runs, and the interval of its few pairs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from perfmodel.evidence.recoveries import recipe_verdict, recoveries
from perfmodel.evidence.scores import Run, Scored, scores_of
from rankspace import RankVector
from rankspace.verdict import Answer, RecipeVerdict
from tests.verdicts import UNIFORM, VERDICT, WINNER

NONE = RankVector((0, 0))
SEEDS = (11, 12, 13)


def _scores(gains: list[float | None], pruned: float | None = -5.0) -> list[Scored]:
    found = [Scored(NONE, SEEDS[0], pruned)]
    for seed, gain in zip(SEEDS, gains, strict=True):
        base = -3.0 + 0.1 * (seed - SEEDS[0])  # of the seed, shared by both
        found.append(Scored(UNIFORM, seed, base))
        found.append(Scored(WINNER, seed, None if gain is None else base + gain))
    return found


def _judged(gains: list[float | None], looks: int = 0, least: float | None = None) -> RecipeVerdict:
    return recipe_verdict(VERDICT, scores_of(_scores(gains)), SEEDS, looks, least)


def test_both_run_on_every_seed_and_the_pruned_model_once_and_last() -> None:
    runs = recoveries(VERDICT, SEEDS)
    assert runs[:2] == (Run(WINNER, 11), Run(UNIFORM, 11))
    assert set(runs[:-1]) == {Run(v, seed) for v in (WINNER, UNIFORM) for seed in SEEDS}
    assert runs[-1] == Run(NONE, 11)
    assert len(runs) == 7


def test_a_winner_that_is_uniform_compares_nothing() -> None:
    assert recoveries(replace(VERDICT, best_rank_vector=UNIFORM), SEEDS) == ()


def test_a_winner_without_adapters_is_the_pruned_model_and_runs_once() -> None:
    runs = recoveries(replace(VERDICT, best_rank_vector=NONE), SEEDS)
    assert len(runs) == len(set(runs)) == 6


def test_the_interval_is_students_of_the_paired_differences() -> None:
    gains = [0.10, 0.12, 0.11]
    found = _judged([*gains])
    low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))
    assert found.comparison is not None
    assert (found.comparison.ci_low, found.comparison.ci_high) == pytest.approx((low, high))
    assert (found.answer, found.comparison.seeds) == (Answer.BETTER, 3)
    assert found.uniform_score == pytest.approx(-2.9)
    assert found.winner_score == pytest.approx(-2.79)
    assert found.pruned_score == -5.0
    assert [one.seed for one in found.pairs] == [*SEEDS]


def test_answers_of_before_widen_the_interval() -> None:
    gains: list[float | None] = [0.10, 0.12, 0.11]
    first, third = _judged(gains).comparison, _judged(gains, looks=2).comparison
    assert first is not None
    assert third is not None
    assert third.ci_low < first.ci_low


def test_three_pairs_that_scatter_cannot_tell_and_say_why() -> None:
    found = _judged([0.30, 0.02, 0.10])
    assert found.answer is Answer.NO_DIFFERENCE_SHOWN
    assert "2 degrees of freedom" in found.sentence
    assert "verify.recipe_seeds" in found.sentence


def test_a_gain_below_the_least_relevant_one_is_not_better() -> None:
    found = _judged([0.10, 0.12, 0.11], least=0.2)
    assert found.answer is Answer.NO_DIFFERENCE_SHOWN
    assert "0.2000" in found.sentence


def test_a_loss_is_called_one() -> None:
    assert _judged([-0.10, -0.12, -0.11]).answer is Answer.WORSE


def test_a_recovery_that_diverges_takes_its_pair_and_the_claim_with_it() -> None:
    found = _judged([0.10, None, 0.11])
    assert found.comparison is not None
    assert (found.comparison.seeds, found.comparison.failed) == (2, 1)
    assert found.answer is Answer.NO_DIFFERENCE_SHOWN
    assert "2 of 3 seeds" in found.sentence
    assert found.pairs[1].winner is None
    assert found.uniform_score == pytest.approx(-2.9)  # of the first and the third


def test_nothing_is_judged_on_one_pair() -> None:
    found = _judged([0.10, None, None])
    assert found.comparison is None
    assert "1 of 3 seeds" in found.sentence
    none = _judged([None, None, None])
    assert (none.uniform_score, none.winner_score) == (None, None)
    assert "0 of 3 seeds" in none.sentence
