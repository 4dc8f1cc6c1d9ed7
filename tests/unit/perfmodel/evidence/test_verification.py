"""The verification protocol: what runs, what it costs, and what it may claim."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perfmodel.arrays import Floats
from perfmodel.evidence.fresh_seeds import COUNTED, FreshSeeds
from perfmodel.evidence.judging import LEAST_LOST
from perfmodel.evidence.looks import plan_looks
from perfmodel.evidence.verification import Arms, Controls, Run, Scored, checked, next_step
from rankspace import Layer, RankVector, SearchSpace, Verdict
from rankspace.errors import TrialFailed
from rankspace.front import Checked, Finding, Promise
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer
from rankspace.wire import decode, encode

SPACE = SearchSpace((Layer("a", 10), Layer("b", 10)), (0, 1, 2, 3, 4), 40)
UNIFORM, FIRST, SECOND, THIRD = (RankVector(r) for r in [(2, 2), (4, 0), (0, 4), (3, 1)])
ECONOMY, RANDOM = RankVector((2, 1)), RankVector((1, 3))
ARMS = Arms((FIRST, SECOND, THIRD), UNIFORM, ECONOMY)
SEEDS = FreshSeeds(0, counted=True)
SEED = COUNTED

Score = Callable[[RankVector, int], float | None]


def verify(
    score: Score,
    arms: Arms = ARMS,
    plan: Verify | None = None,
    controls: Controls = Controls(),  # noqa: B008  # frozen
) -> tuple[Verdict, list[Scored]]:
    scored: list[Scored] = []
    while True:
        step = next_step(
            arms, scored, plan or Verify(), SEEDS, space=SPACE, trials=40, controls=controls
        )
        if isinstance(step, Verdict):
            return step, scored
        assert step
        scored += [
            Scored(run.rank_vector, run.seed, score(run.rank_vector, run.seed)) for run in step
        ]


def noisy(gains: dict[RankVector, float], rng: np.random.Generator) -> Score:
    """Scores with a shared effect of the seed, so that only pairing sees small gains."""
    level = {seed: 5.0 * rng.standard_normal() for seed in range(SEED, SEED + 60)}
    return lambda vector, seed: level[seed] + gains.get(vector, 0.0) + rng.standard_normal()


def test_the_rounds_are_paired_fresh_and_shrink_to_the_winner() -> None:
    score = noisy({FIRST: 30.0}, np.random.default_rng(0))
    verdict, scored = verify(score)
    by_seed = {t.seed: {u.rank_vector for u in scored if u.seed == t.seed} for t in scored}
    assert list(by_seed) == list(range(SEED, SEED + CHOOSING_SEEDS + 6))
    everyone = {FIRST, SECOND, THIRD, UNIFORM, ECONOMY}
    assert list(by_seed.values()) == [everyone] * 2 + [{FIRST, UNIFORM, ECONOMY}] * 6
    assert verdict.answer is Answer.BETTER
    assert verdict.best_rank_vector == FIRST
    assert verdict.versus_uniform.seeds == 6


@pytest.mark.parametrize("random", [None, RANDOM])
def test_the_planned_trials_are_what_a_decision_at_the_first_look_takes(
    random: RankVector | None,
) -> None:
    arms = Arms(ARMS.candidates, UNIFORM, ECONOMY, random)
    rich = Verify(random_control=random is not None, max_trials=99)
    for most in (rich.least_trials(), rich.least_trials() + 9, 99):
        plan = replace(rich, max_trials=most)
        _, scored = verify(noisy({FIRST: 30.0}, np.random.default_rng(0)), arms, plan)
        assert len(scored) == plan.planned_trials()
    assert replace(rich, max_trials=rich.least_trials()).planned_trials() == rich.least_trials()


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
    step = next_step(ARMS, scored, Verify(), SEEDS, space=SPACE, trials=40)
    assert step == tuple(Run(vector, SEED) for vector in (SECOND, THIRD, ECONOMY))


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


PATIENT = Verify(seeds=20, max_trials=100, margin=2.0)


def test_the_economy_vector_is_recommended_only_if_shown_not_worse() -> None:
    for loss, expected in [(0.0, ECONOMY), (50.0, UNIFORM)]:
        score = noisy({FIRST: 30.0, ECONOMY: -loss}, np.random.default_rng(3))
        verdict, _ = verify(score, plan=PATIENT)
        assert verdict.cheapest_rank_vector == expected
        assert verdict.cheapest_parameters == SPACE.parameters(expected)
        assert (verdict.versus_uniform_cheapest is None) == (expected == UNIFORM)


def by_hand(gains: dict[RankVector, list[float]]) -> Score:
    """Scores with a large effect of the seed and, in judging, exactly these paired gains."""

    def score(vector: RankVector, seed: int) -> float:
        at = seed - SEED - CHOOSING_SEEDS
        gain = gains.get(vector, [0.0])
        return 100.0 * (seed % 7) + (gain[0] if at < 0 else gain[at % len(gain)])

    return score


WINS = [30.0, 31.0, 29.0, 30.0, 30.0]  # standard deviation 0.707


FIVE = Verify(max_trials=25, margin=0.7)
"""One look, after five rounds."""


def test_the_margin_is_the_one_that_was_asked_for_however_noisy_the_winner_is() -> None:
    for wins in (WINS, [100.0, 1.0, 50.0, -1.0, 20.0]):
        verdict, _ = verify(
            by_hand({FIRST: wins, ECONOMY: [-0.9, -0.8, -0.7, -0.6, 0.1]}), plan=FIVE
        )
        assert verdict.margin == 0.7
        assert verdict.cheapest_rank_vector == UNIFORM


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([-0.1, 0.1, 0.0, 0.0, 0.0], ECONOMY),  # lower end about -0.1
        ([-0.6, -0.4, -0.5, -0.5, -0.5], UNIFORM),  # within the margin, but shown to be worse
        ([-2.0, -1.8, -1.9, -1.9, -1.9], UNIFORM),  # beyond the margin
        ([-1.0, 1.0, -0.3, 0.3, 0.0], UNIFORM),  # lower end -1.15, and -0.25 at 50 % confidence
    ],
)
def test_not_worse_needs_an_interval_inside_the_margin_that_is_not_all_below_zero(
    loss: list[float], expected: RankVector
) -> None:
    verdict, _ = verify(by_hand({FIRST: WINS, ECONOMY: loss}), plan=FIVE)
    assert verdict.cheapest_rank_vector == expected


def test_a_vector_shown_to_be_worse_is_never_the_cheapest_not_worse() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        level = {seed: 5.0 * rng.standard_normal() for seed in range(SEED, SEED + 60)}
        verdict, _ = verify(
            lambda v, s, rng=rng, level=level: (  # type: ignore[misc]
                level[s] + 0.3 * rng.standard_normal() - (v == ECONOMY)
            ),
            plan=Verify(max_trials=60),
        )
        assert verdict.cheapest_rank_vector != ECONOMY


LOST = SEED + CHOOSING_SEEDS + 1


def without(score: Score, *failed: tuple[RankVector, int]) -> Score:
    return lambda vector, seed: None if (vector, seed) in failed else score(vector, seed)


def test_a_failed_trial_of_uniform_costs_its_pair_only() -> None:
    verdict, _ = verify(without(by_hand({FIRST: WINS}), (UNIFORM, LOST)), plan=FIVE)
    assert (verdict.versus_uniform.seeds, verdict.versus_uniform.failed) == (4, 1)
    assert verdict.answer is Answer.BETTER
    assert verdict.best_score - verdict.uniform_score == pytest.approx(verdict.versus_uniform.gain)


def test_a_winner_that_fails_where_uniform_does_not_is_not_called_better() -> None:
    score = by_hand({FIRST: WINS})
    verdict, _ = verify(without(score, (FIRST, LOST)))
    assert verdict.versus_uniform.ci_low > 0.0
    assert verdict.answer is verdict.versus_uniform.answer is Answer.NO_DIFFERENCE_SHOWN
    assert verdict.versus_uniform.failed == 1
    both, _ = verify(without(score, (FIRST, LOST), (UNIFORM, LOST)))
    assert both.answer is Answer.BETTER


def test_a_winner_that_failed_alone_ends_the_verification_at_the_next_look() -> None:
    score = by_hand({FIRST: [0.1, -0.1]})
    plan = Verify(max_trials=60)
    patient, scored = verify(score, plan=plan)
    forfeited, fewer = verify(without(score, (FIRST, LOST)), plan=plan)
    assert patient.answer is forfeited.answer is Answer.NO_DIFFERENCE_SHOWN
    assert (len(scored), len(fewer)) == (10 + 16 * 3, 10 + 5 * 3)


def test_a_failing_winner_is_not_called_better_than_random_either() -> None:
    arms = Arms(ARMS.candidates, UNIFORM, random=RANDOM)
    score = by_hand({FIRST: WINS, RANDOM: [10.0]})
    verdict, _ = verify(without(score, (FIRST, LOST)), arms)
    assert verdict.versus_random is not None
    assert verdict.versus_random.answer is Answer.NO_DIFFERENCE_SHOWN


def test_a_uniform_that_fails_alone_cannot_make_the_winner_worse() -> None:
    worse = by_hand({FIRST: [-at / 10 - 5.0 for at in range(5)], SECOND: [-99.0], THIRD: [-99.0]})
    assert verify(worse)[0].answer is Answer.WORSE
    verdict, _ = verify(without(worse, (UNIFORM, LOST)))
    assert verdict.answer is Answer.NO_DIFFERENCE_SHOWN


def test_an_economy_vector_that_fails_alone_is_not_recommended() -> None:
    score = by_hand({FIRST: WINS})
    assert verify(score)[0].cheapest_rank_vector == ECONOMY
    verdict, _ = verify(without(score, (ECONOMY, LOST)))
    assert verdict.cheapest_rank_vector == UNIFORM


def test_two_pairs_claim_nothing() -> None:
    lost = [(UNIFORM, seed) for seed in range(LOST, LOST + 60) if seed != LOST + 2]
    verdict, _ = verify(without(by_hand({FIRST: [30.0, 30.1]}), *lost))
    assert verdict.versus_uniform.seeds == 2
    assert verdict.answer is Answer.NO_DIFFERENCE_SHOWN
    assert verdict.cheapest_rank_vector == UNIFORM


def test_a_candidate_that_fails_once_in_choosing_ranks_last() -> None:
    score = by_hand({FIRST: [30.0], SECOND: [20.0], THIRD: [10.0]})
    verdict, _ = verify(without(score, (FIRST, SEED), (SECOND, SEED + 1)))
    assert verdict.best_rank_vector == THIRD


def test_failing_where_the_score_would_be_bad_does_not_make_better() -> None:
    plan = Verify(max_trials=60)
    answers = []
    for seed in range(60):
        score = noisy({}, np.random.default_rng(seed))
        draws = np.random.default_rng(1000 + seed).standard_normal((len(ARMS.candidates), 60))

        def lucky(
            vector: RankVector, seed: int, score: Score = score, draws: Floats = draws
        ) -> float | None:
            plain = score(vector, seed)
            if plain is None or vector not in ARMS.candidates:
                return plain
            draw = float(draws[ARMS.candidates.index(vector), seed - SEED])
            return None if draw < -0.5 else plain + 2.0 * draw

        answers.append(verify(lucky, plan=plan)[0].answer)
    assert answers.count(Answer.BETTER) <= 3


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
    assert next_step(ARMS, scored[::-1], Verify(), SEEDS, space=SPACE, trials=40) == verdict


@pytest.mark.slow
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


def found_of(
    scored: list[Scored], arms: Arms = ARMS, plan: Verify | None = None
) -> tuple[Checked, ...]:
    return checked(arms, scored, plan or Verify(), SEEDS, SPACE) or ()


def test_what_is_found_of_the_promises_has_the_numbers_of_the_verdict() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score = noisy({FIRST: 2.0, ECONOMY: float(rng.normal())}, rng)
        plan = Verify(max_trials=60)
        verdict, scored = verify(score, plan=plan)
        winner, economy = found_of(scored[::-1], plan=plan)
        assert (winner.rank_vector, economy.rank_vector) == (verdict.best_rank_vector, ECONOMY)
        assert (winner.promise, economy.promise) == (Promise.BETTER, Promise.ENOUGH)
        assert winner.comparison == verdict.versus_uniform
        assert (winner.finding is Finding.CONFIRMED) == (verdict.answer is Answer.BETTER)
        if verdict.cheapest_rank_vector == ECONOMY:
            assert economy.comparison == verdict.versus_uniform_cheapest
        is_enough = verdict.cheapest_rank_vector == ECONOMY
        assert (economy.finding is Finding.CONFIRMED) == is_enough


@pytest.mark.parametrize(
    ("loss", "finding"),
    [
        ([-0.1, 0.1, 0.0, 0.0, 0.0], Finding.CONFIRMED),
        ([-0.6, -0.4, -0.5, -0.5, -0.5], Finding.REFUTED),  # the interval is below zero
        ([-9.0, -0.1, -0.1, -0.1, -0.1], Finding.REFUTED),  # it is not, but every seed is
        ([-9.0, -0.1, -0.1, -0.1, 0.1], Finding.OPEN),
        ([-1.0, 1.0, -0.3, 0.3, 0.0], Finding.OPEN),
    ],
)
def test_a_promise_is_refuted_by_its_interval_or_by_every_seed(
    loss: list[float], finding: Finding
) -> None:
    _, scored = verify(by_hand({FIRST: WINS, ECONOMY: loss}), plan=FIVE)
    winner, economy = found_of(scored, plan=FIVE)
    assert (winner.finding, economy.finding) == (Finding.CONFIRMED, finding)


def test_a_few_lost_seeds_alone_refute_nothing() -> None:
    plan = Verify(seeds=3, max_trials=19)
    _, scored = verify(by_hand({FIRST: WINS, ECONOMY: [-9.0, -0.1, -0.1]}), plan=plan)
    few = [one for one in scored if one.seed != SEED]
    seeds = {one.seed for one in few if one.rank_vector == ECONOMY}
    assert len(seeds) == LEAST_LOST - 1
    failed = [*few, *(Scored(v, SEED, None) for v in ARMS.choosing)]
    assert found_of(failed, plan=plan)[1].finding is Finding.OPEN
    assert found_of(scored, plan=plan)[1].finding is Finding.REFUTED


def test_nothing_is_found_before_the_first_look_nor_between_two() -> None:
    plan = Verify(max_trials=60)
    _, scored = verify(noisy({}, np.random.default_rng(0)), plan=plan)
    known = [found_of(scored[:count], plan=plan) for count in range(len(scored) + 1)]
    assert checked(ARMS, scored[:1], plan, SEEDS, SPACE) is None
    rounds = [one[0].comparison.seeds if one else 0 for one in known]
    looks = plan_looks(plan.seeds, 16)
    assert sorted(set(rounds)) == [0, *(look.rounds for look in looks)]
    assert rounds == sorted(rounds)
    assert rounds.index(plan.seeds) == 5 * CHOOSING_SEEDS + 3 * plan.seeds


def test_uniform_promises_nothing_and_a_candidate_that_is_the_economy_vector_once() -> None:
    _, scored = verify(noisy({}, np.random.default_rng(0)), Arms((UNIFORM,), UNIFORM))
    assert checked(Arms((UNIFORM,), UNIFORM), scored, Verify(), SEEDS, SPACE) == ()
    arms = Arms((FIRST,), UNIFORM, economy=FIRST)
    _, scored = verify(by_hand({FIRST: WINS}), arms)
    (one,) = found_of(scored, arms)
    assert (one.promise, one.finding) == (Promise.ENOUGH, Finding.CONFIRMED)


def test_a_verification_of_failures_finds_nothing() -> None:
    scored = [
        Scored(vector, SEED + at, None) for at in range(7) for vector in (*ARMS.choosing, UNIFORM)
    ]
    assert found_of(scored) == ()


def test_an_answer_after_another_is_wider_on_the_same_scores() -> None:
    score = noisy({FIRST: 30.0}, np.random.default_rng(0))
    first, scored = verify(score)
    later = FreshSeeds(0, looks=1, counted=True)
    again = [Scored(one.rank_vector, one.seed + COUNTED, one.score) for one in scored]
    second = next_step(ARMS, [*scored, *again], Verify(), later, space=SPACE, trials=40)
    assert isinstance(second, Verdict)
    assert second.versus_uniform.gain == first.versus_uniform.gain
    assert second.versus_uniform.ci_low < first.versus_uniform.ci_low


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ({"extensions": 1}, "The study was extended once after an earlier answer: "),
        ({"looks_before": 1}, "The study began with results that have one answer elsewhere: "),
        (
            {"looks_before": 2, "extensions": 3},
            "The study began with results that have 2 answers elsewhere and was extended 3 times",
        ),
        ({"unstated": True}, "Nobody stated what data its results were measured on"),
    ],
)
def test_a_verdict_says_what_came_before_it(history: Mapping[str, Any], said: str) -> None:
    plain, _ = verify(noisy({FIRST: 30.0}, np.random.default_rng(0)))
    assert plain.caveat == ""
    assert not {*history} & {*encode(plain)}
    told = replace(plain, **history)
    assert told.caveat.startswith(said)
    assert decode(Verdict, encode(told)) == told


def test_random_vectors_are_not_said_to_be_as_many_as_results_of_another_study() -> None:
    plain, _ = verify(noisy({FIRST: 30.0}, np.random.default_rng(0)))
    compared = replace(plain, versus_random=plain.versus_uniform)
    assert compared.caveat == replace(plain, earlier=60).caveat == ""
    said = replace(compared, earlier=60).caveat
    assert "60 results of another study, for which no random vectors were run" in said
