"""Further scores of a survey, in later claims: of the vectors that the search holds for best then.

Each claim loads the adapter that the survey left and trains nothing, so it takes seconds, and any
worker may have it. It waits in the queue as trials do, behind those that were there before it, and
nothing waits for it but the search's end, while somebody has it.
"""

from collections.abc import Iterator, Sequence

import perfmodel
from rankspace import Purpose, RankVector
from rankspace.granularity import most_trials
from rankspace.lease import FURTHER_SINCE, MAX_SURVEY_RANKS, KeptAdapter, SurveyOrder
from rankspace.study import StudyState
from service.planning.snapshot import Snapshot
from service.studies.time_limit import SURVEY_SHARE, limit_seconds
from service.trials.planned import PlannedTrial
from service.trials.results import Result

ROUNDS = 3
"""Claims at most, failed ones included: after a quarter, half and three quarters of the trials."""

FAILURES = 2
"""Failed claims after which there is no other."""


def plan_further(snapshot: Snapshot) -> tuple[PlannedTrial, ...]:
    """Order the next claim, if it is due; the model has learned what there is."""
    results, adapter = snapshot.results, snapshot.results.elastic
    if adapter is None or not _is_due(snapshot):
        return ()
    vectors = perfmodel.to_survey(results.state, _count(snapshot))
    return (further_trial(snapshot, vectors, adapter),) if vectors else ()


def further_trial(
    snapshot: Snapshot, vectors: Sequence[RankVector], adapter: KeptAdapter
) -> PlannedTrial:
    """On the seed and the half of the first scores, which these are to be compared with."""
    return PlannedTrial(
        purpose=Purpose.SURVEY,
        rank_vector=RankVector(tuple(max(choices) for choices in snapshot.space.options)),
        seed=snapshot.study.search.seed,
        steps=0,
        reason=f"survey: {len(vectors)} further vectors on the adapter of trial {adapter.trial}",
        survey=SurveyOrder((), tuple(vector.ranks for vector in vectors), adapter),
    )


def is_heard_anew(snapshot: Snapshot) -> bool:
    """Whether further scores have come in since the model last proposed: it has to learn again."""
    is_search = snapshot.head.state is StudyState.SEARCHING
    return is_search and snapshot.results.surveys > 1 and not snapshot.results.is_warm


def is_scoring(snapshot: Snapshot) -> bool:
    """Whether somebody is at further scores, which the end of the search waits for."""
    return any(trial.runs for trial in snapshot.of(Purpose.SURVEY))


def unscored(snapshot: Snapshot) -> tuple[int, ...]:
    """Claims that nobody has taken: the search is over, nobody needs them any more."""
    return tuple(trial.id for trial in snapshot.of(Purpose.SURVEY))


def further_remark(snapshot: Snapshot) -> str | None:
    """What became of further scores, where it is not what was asked for."""
    survey, results = snapshot.study.search.survey, snapshot.results
    if survey is None or not survey.further or results.elastic is None:
        return None
    if results.surveys == 1 and not perfmodel.is_heard(results.state):
        return None  # it was said as the search began
    return "; ".join(_remarks(snapshot, survey.further)) or None


def _remarks(snapshot: Snapshot, asked: int) -> Iterator[str]:
    results, over = snapshot.results, _over(snapshot)
    failed = [result for result in over if result.score is None]
    if results.further < asked:
        yield (
            f"{results.further} of {asked} further vectors were scored on the survey's adapter by "
            f"the end of the search, after {results.searched:,} trials"
        )
    if failed:
        yield (
            f"{len(failed)} of {len(over)} claims that were to score further vectors on the "
            f"survey's adapter failed; the last one: {failed[-1].error or 'no reason given'}"
        )
    if unscored(snapshot):
        yield f"no worker of lease protocol {FURTHER_SINCE} or later took the last claim of them"
    if results.further < asked and not _has_time(snapshot):
        yield "a survey uses up half of search.budget.gpu_hours at most"
    if results.surveys > 1 and not perfmodel.is_heard(results.state):
        yield "with its further scores the survey does not tell the layers apart any more"


def _is_due(snapshot: Snapshot) -> bool:
    results, over = snapshot.results, _over(snapshot)
    survey, pace = snapshot.study.search.survey, results.state.pace
    if survey is None or not survey.further or snapshot.of(Purpose.SURVEY):
        return False
    failures = sum(result.score is None for result in over)
    if len(over) >= ROUNDS or failures >= FAILURES or not perfmodel.is_heard(results.state):
        return False
    return _has_time(snapshot) and results.searched >= _begins(pace, len(over))


def _has_time(snapshot: Snapshot) -> bool:
    """Whether the survey has not used up its part of the time limit."""
    share = SURVEY_SHARE * limit_seconds(snapshot.study.search.budget)
    return snapshot.results.survey_seconds < share


def _begins(pace: int, number: int) -> int:
    """Finished trials from which on a claim is due."""
    return max(2, pace * (number + 1) // (ROUNDS + 1))


def _count(snapshot: Snapshot) -> int:
    """Vectors of the next claim: an even part, within what one study may have scored."""
    survey, number = snapshot.study.search.survey, len(_over(snapshot))
    assert survey is not None  # there is one to be due
    part = _asked(survey.further, number + 1) - _asked(survey.further, number)
    layers = len(snapshot.space.layers)
    most = most_trials(layers) - len(snapshot.results.state.surveyed)
    return max(0, min(part, most, MAX_SURVEY_RANKS // layers))


def _asked(further: int, rounds: int) -> int:
    """Vectors of the first ``rounds`` claims; the first ones have what does not divide."""
    return -(-further * rounds // ROUNDS)


def _over(snapshot: Snapshot) -> Sequence[Result]:
    """Claims after the one that trained."""
    return [result for result in snapshot.results.of(Purpose.SURVEY) if not result.kept]
