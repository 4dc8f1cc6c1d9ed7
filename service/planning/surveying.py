"""The survey stage: one elastic training that tells layers apart before the first search trial.

It is worth a few trials and never needed: whatever keeps it from being made, the search begins
without it, and the study says why.
"""

import perfmodel
from rankspace import Purpose, RankVector
from rankspace.granularity import most_trials
from rankspace.lease import MAX_SURVEY_RANKS, SurveyOrder
from rankspace.study import StudyState, Survey
from service.planning.plan import Plan, Turn
from service.planning.snapshot import Snapshot
from service.trials.planned import PlannedTrial

TRIES = 2
"""Surveys that may fail before the search begins without one."""

POOL = 256
"""Vectors that the training draws from, at most."""

POOL_SEED, VECTORS_SEED = 10_007, 20_011
"""Added to the study's seed, for vectors that are neither each other's nor the controls'."""


def plan_survey(snapshot: Snapshot) -> Plan:
    """Order the survey, wait for it, and turn to the search, with it or with the reason why not."""
    over = snapshot.results.of(Purpose.SURVEY)
    survey = snapshot.study.search.survey
    if survey is None or any(result.score is not None for result in over):
        return Plan(turn=Turn(StudyState.SEARCHING))
    if len(over) >= TRIES:
        last = over[-1].error or "no reason given"
        return _without(snapshot, f"it failed {len(over)} times; the last time: {last}")
    waiting = snapshot.of(Purpose.SURVEY)
    if not waiting:
        return Plan(queued=(survey_trial(snapshot, survey),))
    if snapshot.is_survey_stranded and not any(trial.claimed for trial in waiting):
        return _without(snapshot, "no worker that can run a survey has taken it")
    return Plan()


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
    turn = Turn(StudyState.SEARCHING, note=f"searched without a survey: {why}")
    return Plan(cancelled=tuple(trial.id for trial in snapshot.of(Purpose.SURVEY)), turn=turn)
