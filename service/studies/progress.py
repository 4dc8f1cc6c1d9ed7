"""How far a study has come, counted from its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankspace import Purpose, RankVector, Study, TrialState
from rankspace.study import StudyState
from service.tables import ObservationRow, TrialRow

Results = Sequence[tuple[TrialRow, ObservationRow | None]]


@dataclass(frozen=True, slots=True)
class Progress:
    """Trials of one purpose. ``planned`` is an upper bound for verification, which may stop early.

    ``failed`` counts dead trials too; cancelled ones are counted nowhere.
    """

    planned: int
    queued: int
    running: int
    done: int
    failed: int

    @property
    def left(self) -> int:
        return max(self.planned - self.done - self.failed, 0)


@dataclass(frozen=True, slots=True)
class Best:
    """The best search result so far."""

    score: float
    rank_vector: tuple[int, ...]
    trial: int


def progress(study: Study, stage: StudyState, results: Results) -> dict[Purpose, Progress]:
    return {purpose: _progress(purpose, study, stage, results) for purpose in Purpose}


def _progress(purpose: Purpose, study: Study, stage: StudyState, results: Results) -> Progress:
    states = [row.state for row, _ in results if row.purpose == purpose]
    return Progress(
        planned=_planned(purpose, study, stage, len(states)),
        queued=states.count(TrialState.QUEUED),
        running=states.count(TrialState.RUNNING),
        done=states.count(TrialState.DONE),
        failed=states.count(TrialState.FAILED) + states.count(TrialState.DEAD),
    )


def _planned(purpose: Purpose, study: Study, stage: StudyState, have: int) -> int:
    """What is ordered in all; once a purpose's stage is past, what really ran."""
    trials, verify = study.search.budget.trials, study.verify
    past = {
        Purpose.SEARCH: stage is not StudyState.SEARCHING,
        Purpose.CONTROL: stage is not StudyState.SEARCHING,
        Purpose.VERIFY: stage in (StudyState.RECOVERING, StudyState.DONE),
        Purpose.RECOVER: stage is StudyState.DONE,
    }
    planned = {
        Purpose.SEARCH: trials,
        Purpose.CONTROL: trials if verify.random_control else 0,
        Purpose.VERIFY: max(verify.least_trials(), have),
        Purpose.RECOVER: 1,
    }
    return have if past[purpose] else planned[purpose]


def best(results: Results) -> Best | None:
    scored = [
        (result.score, -row.id, row)
        for row, result in results
        if row.purpose == Purpose.SEARCH and result and result.score is not None
    ]
    if not scored:
        return None
    score, _, row = max(scored)
    return Best(score, row.rank_vector.ranks, row.id)


def score_of(results: Results, vector: RankVector) -> float | None:
    """Score of the first search trial of ``vector``, on the seed that all search trials share."""
    for row, result in results:
        known = result is not None and result.score is not None
        if row.purpose == Purpose.SEARCH and row.rank_vector == vector and known:
            assert result is not None
            return result.score
    return None


def remaining_seconds(
    study: Study,
    counts: Mapping[Purpose, Progress],
    seconds: Mapping[str, float],
    workers: int,
) -> float | None:
    """Estimate the time left from the mean trial so far; None where nothing is known yet."""
    finished = sum(counts[p].done + counts[p].failed for p in _SHORT)
    spent = sum(seconds.get(purpose, 0.0) for purpose in _SHORT)
    if not finished or not workers:
        return None
    mean = spent / finished
    steps = study.recover.steps
    long = mean * steps / study.search.trial.steps if steps else 0.0
    short = sum(counts[purpose].left for purpose in _SHORT) * mean
    return short / workers + counts[Purpose.RECOVER].left * long


_SHORT = (Purpose.SEARCH, Purpose.CONTROL, Purpose.VERIFY)
