"""The survey stage: one elastic training that tells layers apart before the first search trial.

It is worth a few trials and never needed: whatever keeps it from being made, the search begins
without it, and the study says why.
"""

from collections.abc import Iterator

import perfmodel
from rankspace import Purpose, RankVector
from rankspace.granularity import most_trials
from rankspace.lease import MAX_SURVEY_RANKS, SurveyOrder
from rankspace.study import LEAST_SURVEYED, StudyState, Survey
from service.planning.plan import Plan, Turn
from service.planning.snapshot import Snapshot
from service.studies.time_limit import counted
from service.trials.planned import PlannedTrial

TRIES = 2
"""Surveys that may fail before the search begins without one; where one died, which takes three
workers lost, there is no other."""

POOL = 256
"""Vectors that the training draws from, at most."""

POOL_SEED, VECTORS_SEED = 10_007, 20_011
"""Added to the study's seed, for vectors that are neither each other's nor the controls'."""


def plan_survey(snapshot: Snapshot) -> Plan:
    """Order the survey, wait for it, and turn to the search, with it or with the reason why not."""
    over = snapshot.results.of(Purpose.SURVEY)
    survey = snapshot.study.search.survey
    if survey is None or is_survey_in(snapshot):
        return Plan(turn=Turn(StudyState.SEARCHING, note="; ".join(_remarks(snapshot)) or None))
    if over and (len(over) >= TRIES or over[-1].died):
        last = over[-1].error or "no reason given"
        return _without(snapshot, f"{_failed(len(over))}: {last}")
    waiting = snapshot.of(Purpose.SURVEY)
    if not waiting:
        return _ordered(snapshot, survey)
    if snapshot.is_survey_stranded and not any(trial.runs for trial in waiting):
        return _without(snapshot, "no worker that can run a survey has taken it")
    return Plan()


def is_survey_in(snapshot: Snapshot) -> bool:
    """Whether there is a survey with scores, which the model has to hear before the next step."""
    over = snapshot.results.of(Purpose.SURVEY)
    return snapshot.head.state is StudyState.SURVEYING and any(r.score is not None for r in over)


def _remarks(snapshot: Snapshot) -> Iterator[str]:
    """What became of a survey that was paid for, where it is not what was asked for."""
    results = snapshot.results
    if not results.state.surveyed:
        return
    if not perfmodel.is_heard(results.state):
        yield "searched without a survey: its scores do not tell the layers apart"
    yield from _overlong(snapshot)


def _overlong(snapshot: Snapshot) -> Iterator[str]:
    budget, spent = snapshot.study.search.budget, snapshot.results.survey_seconds
    known = counted(budget, spent)
    if known < spent:
        yield (
            f"the survey took {spent / 3600:.2g} hours, of which {known / 3600:.2g} count in the "
            f"{budget.gpu_hours:g} of search.budget.gpu_hours, so that the search has the others"
        )


def _failed(times: int) -> str:
    return "it failed" if times == 1 else f"it failed {times} times; the last time"


def _ordered(snapshot: Snapshot, survey: Survey) -> Plan:
    planned = survey_trial(snapshot, survey)
    count = len(planned.survey.vectors) if planned.survey else 0
    if count < LEAST_SURVEYED:
        why = f"there are {count} rank vectors to score, too few to tell the layers apart"
        return _without(snapshot, why)
    return Plan(queued=(planned,))


def survey_trial(snapshot: Snapshot, survey: Survey) -> PlannedTrial:
    """The one lease of the stage; on the seed of the search, so that it is paired with its trials.

    Its vector is the largest there is, which is what the elastic adapter holds.
    """
    space = snapshot.space
    return PlannedTrial(
        purpose=Purpose.SURVEY,
        rank_vector=RankVector(tuple(max(choices) for choices in space.options)),
        seed=snapshot.study.search.seed,
        steps=survey.steps,
        keep_adapter=True,
        priority=1,
        reason=f"survey: another vector at each of {survey.steps:,} steps, then many scored",
        survey=order_of(snapshot, survey),
    )


def order_of(snapshot: Snapshot, survey: Survey) -> SurveyOrder:
    """Random vectors on the budget: some to train on, others to score."""
    space, seed = snapshot.space, snapshot.study.search.seed
    layers = len(space.layers)
    most = max(1, min(MAX_SURVEY_RANKS // (2 * layers), most_trials(layers)))
    pool = perfmodel.random_vectors(space, min(POOL, survey.steps, most), seed + POOL_SEED)
    vectors = perfmodel.random_vectors(space, min(survey.vectors, most), seed + VECTORS_SEED)
    return SurveyOrder(tuple(v.ranks for v in pool), tuple(v.ranks for v in vectors))


def _without(snapshot: Snapshot, why: str) -> Plan:
    note = "; ".join((f"searched without a survey: {why}", *_overlong(snapshot)))
    turn = Turn(StudyState.SEARCHING, note=note)
    return Plan(cancelled=tuple(trial.id for trial in snapshot.of(Purpose.SURVEY)), turn=turn)
