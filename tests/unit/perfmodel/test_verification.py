"""The verification protocol: what runs, what it costs, and what it may claim."""

from collections.abc import Callable

import numpy as np
import pytest

from perfmodel.looks import ERROR, plan_looks
from perfmodel.verification import Arms, Scored, next_step
from rankspace import Layer, RankVector, SearchSpace, Verdict
from rankspace.errors import TrialFailed
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer

SPACE = SearchSpace((Layer("a", 10), Layer("b", 10)), (0, 1, 2, 3, 4), 40)
UNIFORM, FIRST, SECOND, THIRD = (RankVector(r) for r in [(2, 2), (4, 0), (0, 4), (3, 1)])
ECONOMY, RANDOM = RankVector((2, 1)), RankVector((1, 3))
ARMS = Arms((FIRST, SECOND, THIRD), UNIFORM, ECONOMY)
SEED = 1000

Score = Callable[[RankVector, int], float | None]


def verify(
    score: Score, arms: Arms = ARMS, plan: Verify | None = None
) -> tuple[Verdict, list[Scored]]:
    scored: list[Scored] = []
    while True:
        step = next_step(arms, scored, plan or Verify(), SEED, space=SPACE, trials=40)
        if isinstance(step, Verdict):
            return step, scored
        assert step
        scored += [Scored(vector, seed, score(vector, seed)) for vector, seed in step]


def noisy(gains: dict[RankVector, float], rng: np.random.Generator) -> Score:
    """Scores with a shared effect of the seed, so that only pairing sees small gains."""
    level = {seed: 5.0 * rng.standard_normal() for seed in range(SEED, SEED + 60)}
    return lambda vector, seed: level[seed] + gains.get(vector, 0.0) + rng.standard_normal()


def test_the_rounds_are_paired_fresh_and_shrink_to_the_winner() -> None:
    score = noisy({FIRST: 30.0}, np.random.default_rng(0))
    verdict, scored = verify(score)
    by_seed = {t.seed: {u.rank_vector for u in scored if u.seed == t.seed} for t in scored}
    assert list(by_seed) == list(range(SEED, SEED + CHOOSING_SEEDS + 5))
    everyone = {FIRST, SECOND, THIRD, UNIFORM, ECONOMY}
    assert list(by_seed.values()) == [everyone] * 2 + [{FIRST, UNIFORM, ECONOMY}] * 5
    assert verdict.answer is Answer.BETTER
    assert verdict.best_rank_vector == FIRST
    assert verdict.versus_uniform.seeds == 5


@pytest.mark.parametrize("random", [None, RANDOM])
def test_the_least_trials_are_what_a_decision_at_the_first_look_takes(
    random: RankVector | None,
) -> None:
    least = Verify(random_control=random is not None, max_trials=99).least_trials()
    plan = Verify(random_control=random is not None, max_trials=least)
    arms = Arms(ARMS.candidates, UNIFORM, ECONOMY, random)
    _, scored = verify(noisy({FIRST: 30.0}, np.random.default_rng(0)), arms, plan)
    assert len(scored) == least


@pytest.mark.parametrize("max_trials", range(25, 60))
def test_the_budget_is_never_exceeded_and_no_trial_runs_twice(max_trials: int) -> None:
    _, scored = verify(
        noisy({}, np.random.default_rng(max_trials)), plan=Verify(max_trials=max_trials)
    )
    assert len(scored) <= max_trials
    assert len({(t.rank_vector, t.seed) for t in scored}) == len(scored)
    assert max_trials - len(scored) < 3 or len(scored) in (25, 25 + 3 * ((max_trials - 25) // 6))


def test_equal_arms_run_once() -> None:
    arms = Arms((FIRST, FIRST, UNIFORM), UNIFORM, economy=FIRST, random=FIRST)
    verdict, scored = verify(noisy({FIRST: 30.0}, np.random.default_rng(0)), arms)
    assert {t.rank_vector for t in scored} == {FIRST, UNIFORM}
    assert verdict.versus_random is not None
    assert verdict.versus_random.gain == 0.0


def test_half_a_round_is_completed_not_repeated() -> None:
    scored = [Scored(FIRST, SEED, 1.0), Scored(UNIFORM, SEED, 1.0)]
    step = next_step(ARMS, scored, Verify(), SEED, space=SPACE, trials=40)
    assert step == ((SECOND, SEED), (THIRD, SEED), (ECONOMY, SEED))


def test_the_choosing_rounds_do_not_enter_the_interval() -> None:
    score = noisy({}, np.random.default_rng(1))
    verdict, _ = verify(
        lambda v, s: 1e6 if s < SEED + CHOOSING_SEEDS and v == THIRD else score(v, s)
    )
    assert verdict.best_rank_vector == THIRD
    assert abs(verdict.versus_uniform.gain) < 10.0


def test_uniform_as_winner_is_no_difference_and_ends_at_the_first_look() -> None:
    arms = Arms((UNIFORM,), UNIFORM, ECONOMY)
    verdict, scored = verify(noisy({}, np.random.default_rng(0)), arms)
    assert verdict.answer is Answer.NO_DIFFERENCE_SHOWN
    assert (verdict.versus_uniform.gain, verdict.versus_uniform.ci_high) == (0.0, 0.0)
    assert len(scored) == 2 * 7


def test_the_economy_vector_is_recommended_only_if_shown_not_worse() -> None:
    for loss, expected in [(0.0, ECONOMY), (50.0, UNIFORM)]:
        verdict, _ = verify(noisy({FIRST: 30.0, ECONOMY: -loss}, np.random.default_rng(3)))
        assert verdict.cheapest_rank_vector == expected
        assert verdict.cheapest_parameters == SPACE.parameters(expected)
        assert (verdict.versus_uniform_cheapest is None) == (expected == UNIFORM)


def test_a_failed_trial_costs_its_pair_only() -> None:
    score = noisy({FIRST: 30.0}, np.random.default_rng(0))
    lost = SEED + CHOOSING_SEEDS + 1
    verdict, _ = verify(lambda v, s: None if (v, s) == (FIRST, lost) else score(v, s))
    assert verdict.versus_uniform.seeds == 4
    assert verdict.versus_uniform_cheapest is not None
    assert verdict.versus_uniform_cheapest.seeds == 5
    assert verdict.best_score - verdict.uniform_score == pytest.approx(verdict.versus_uniform.gain)


def test_a_candidate_that_always_fails_is_not_chosen() -> None:
    score = noisy({FIRST: 30.0, SECOND: 20.0}, np.random.default_rng(0))
    verdict, _ = verify(lambda v, s: None if v == FIRST else score(v, s))
    assert verdict.best_rank_vector == SECOND


def test_nothing_to_compare_is_an_error_that_says_so() -> None:
    with pytest.raises(TrialFailed, match="only 0 of") as caught:
        verify(lambda v, s: None if v == UNIFORM else 1.0)
    assert caught.value.hint


def test_the_verdict_does_not_depend_on_the_order_of_arrival() -> None:
    verdict, scored = verify(noisy({FIRST: 3.0}, np.random.default_rng(0)))
    assert next_step(ARMS, scored[::-1], Verify(), SEED, space=SPACE, trials=40) == verdict


@pytest.mark.parametrize(("first", "last"), [(5, 5), (5, 6), (5, 7), (5, 8), (3, 40), (5, 2)])
def test_the_looks_share_the_error(first: int, last: int) -> None:
    looks = plan_looks(first, last)
    assert sum(1.0 - look.confidence for look in looks) == pytest.approx(ERROR)
    assert looks[0].rounds == min(first, last)
    assert looks[-1].rounds == last
    assert [look.rounds for look in looks] == sorted({look.rounds for look in looks})


def test_without_an_effect_better_is_rare_and_the_interval_covers() -> None:
    plan = Verify(max_trials=60)
    found = [verify(noisy({}, np.random.default_rng(seed)), plan=plan)[0] for seed in range(300)]
    better = np.mean([verdict.answer is Answer.BETTER for verdict in found])
    covered = np.mean([v.versus_uniform.ci_low <= 0.0 <= v.versus_uniform.ci_high for v in found])
    assert better <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / 300)
    assert covered >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 300)


def test_with_an_effect_the_interval_still_covers_and_usually_says_better() -> None:
    plan, gain = Verify(max_trials=60), 2.0
    found = [
        verify(noisy(dict.fromkeys(ARMS.candidates, gain), np.random.default_rng(seed)), plan=plan)[
            0
        ]
        for seed in range(150)
    ]
    covered = np.mean([v.versus_uniform.ci_low <= gain <= v.versus_uniform.ci_high for v in found])
    assert covered >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean([verdict.answer is Answer.BETTER for verdict in found]) > 0.9
