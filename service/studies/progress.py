"""How far a study has come and how long it will take, from the tally of its trials."""

from collections.abc import Mapping

from rankspace import Purpose, Study, TrialState
from rankspace.study import Progress, StudyState
from service.studies.tally import Tally

SEARCHES = (StudyState.SURVEYING, StudyState.SEARCHING)
"""Stages in which search trials are still to come."""

SHORT = (Purpose.SEARCH, Purpose.CONTROL, Purpose.VERIFY)
"""What runs a search trial's steps; a recovery runs its own."""


def progress(
    study: Study, stage: StudyState, tally: Tally, before: Mapping[str, int]
) -> dict[Purpose, Progress]:
    """Count by purpose; ``before`` are those that ran before the study was last extended."""
    return {
        purpose: _progress(purpose, study, stage, tally, before.get(purpose, 0))
        for purpose in Purpose
    }


def _progress(
    purpose: Purpose, study: Study, stage: StudyState, tally: Tally, before: int
) -> Progress:
    def count(*states: TrialState) -> int:
        return sum(tally.counts.get((purpose, state), 0) for state in states)

    return Progress(
        planned=_planned(purpose, study, stage, tally.begun(purpose), before),
        queued=count(TrialState.QUEUED),
        running=count(TrialState.RUNNING),
        done=count(TrialState.DONE),
        failed=count(TrialState.FAILED, TrialState.DEAD),
    )


def _planned(purpose: Purpose, study: Study, stage: StudyState, have: int, before: int) -> int:
    """What is ordered in all; once a purpose's stage is past, what really ran."""
    trials, verify = study.search.budget.trials, study.verify
    past = {
        Purpose.SURVEY: stage is not StudyState.SURVEYING,
        Purpose.SEARCH: stage not in SEARCHES,
        Purpose.CONTROL: stage not in SEARCHES,
        Purpose.VERIFY: stage in (StudyState.RECOVERING, StudyState.DONE),
        # All recoveries are queued at once: fewer where the winner comes out as uniform itself.
        Purpose.RECOVER: stage is StudyState.DONE
        or (stage is StudyState.RECOVERING and have > before),
    }
    planned = {
        Purpose.SURVEY: int(study.search.survey is not None),
        Purpose.SEARCH: trials,
        Purpose.CONTROL: trials if verify.random_control else 0,
        Purpose.VERIFY: max(before + verify.planned_trials() + verify.control_trials(), have),
        Purpose.RECOVER: max(before + verify.recoveries(), have),
    }
    return have if past[purpose] else planned[purpose]


def remaining_seconds(
    study: Study, counts: Mapping[Purpose, Progress], tally: Tally, workers: int
) -> tuple[float | None, float | None]:
    """Estimate the time left, the least verification and the recovery included.

    Args:
        study: What was ordered.
        counts: How far it has come.
        tally: What that took.
        workers: How many may get its trials.

    Returns:
        Until the recovery begins, and until the end. Both are None where it cannot be told, before
        the first result and without workers; the second also when the recovery counts in epochs,
        whose steps only the worker knows.
    """
    over = sum(counts[purpose].over for purpose in SHORT)
    if not over or not workers:
        return None, None
    short = sum(tally.seconds.get(purpose, 0.0) for purpose in SHORT) / over
    left = sum(counts[purpose].left for purpose in SHORT) * short / workers
    if not counts[Purpose.RECOVER].left:
        return left, left
    recovery = _recovery_seconds(study, tally, short)
    trained = min(counts[Purpose.RECOVER].left, _most_trained(study))
    rounds = -(-trained // workers)  # each worker runs one at a time
    return left, None if recovery is None else left + rounds * recovery


def _most_trained(study: Study) -> int:
    """Recoveries that train: the look at the pruned model comes last and takes no time."""
    return max(study.verify.recoveries() - 1, 1)


def _recovery_seconds(study: Study, tally: Tally, short: float) -> float | None:
    """The recovery's steps at the pace seen so far, and once what a short trial spends beside."""
    steps = study.recover.steps
    if steps is None or not tally.trained_steps:
        return None
    pace = tally.trained_seconds / tally.trained_steps
    beside = max(short - pace * study.search.trial.steps, 0.0)
    return pace * steps + beside
