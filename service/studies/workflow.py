"""What a person may do to a study that runs."""

from sqlalchemy.orm import Session

from rankspace.errors import Conflict
from rankspace.study import ACTIVE, OVER, RESUMABLE, StudyState
from service.storage.documents import study_of
from service.storage.events import Events
from service.storage.tables import StudyRow
from service.studies.extension import call_off, is_called_off
from service.studies.repository import Studies, enter, go_back, require
from service.trials.repository import Trials
from service.trials.workflow import keep_within
from service.workers.bars import Bars


def pause(session: Session, study: str, error: str | None = None) -> StudyRow:
    """Hand out no more trials; those that run may finish. Repeating it changes nothing.

    An ``error`` says why nobody asked for it.

    Raises:
        Conflict: The study is over.
    """
    row = Studies(session).locked(study)
    if row.state != StudyState.PAUSED:
        enter(row, StudyState.PAUSED)
        row.error = error
        Events(session).record("paused", study, **({"error": error} if error else {}))
    return row


def resume(session: Session, study: str) -> StudyRow:
    """Go on with the stage it was in; a failed stage is tried again.

    Workers that could not run its trials try anew, also those of a study that goes on already.

    Raises:
        Conflict: The study is over, or its search has failed with all its trials.
    """
    row = Studies(session).locked(study)
    Bars(session).lift(study)
    if row.state in RESUMABLE:
        _check_retry(session, row)
        row.retries += int(row.state == StudyState.FAILED)
        row.error = None
        enter(row, StudyState(row.stage))
        keep_within(session, study, study_of(row).search.budget.trials)
        Events(session).record("resumed", study)
    elif row.state == StudyState.DONE:
        hint = "extend it, with more trials or with fresh seeds for another verification"
        raise Conflict(f"study {study} is done", hint=hint)
    else:
        require(row, *ACTIVE)
    return row


def cancel(session: Session, study: str) -> StudyRow:
    """Stop for good; workers hear of it with their next heartbeat. Repeating changes nothing.

    A study that was extended is done again: its answer stands, and it may be extended once more.

    Raises:
        Conflict: The study is already done.
    """
    row = Studies(session).locked(study)
    if row.state == StudyState.CANCELLED or is_called_off(row):
        return row
    if row.extensions:
        go_back(row)
        Trials(session).cancel_all(study)
        Events(session).record("cancelled", study, trials=call_off(session, row))
    else:
        enter(row, StudyState.CANCELLED)
        Trials(session).cancel_all(study)
        Events(session).record("cancelled", study)
    return row


def delete(session: Session, study: str) -> None:
    """Forget a study that is over.

    Raises:
        Conflict: It still goes on.
    """
    row = Studies(session).locked(study)
    require(row, *OVER)
    Studies(session).delete(study)


def _check_retry(session: Session, row: StudyRow) -> None:
    """A search that used all its trials and has not one score can only fail again."""
    trials, budget = Trials(session), study_of(row).search.budget.trials
    is_failed_search = row.state == StudyState.FAILED and row.stage == StudyState.SEARCHING
    if is_failed_search and trials.all_failed(row.id, budget):
        hint = f"submit a new study once the cause is mended: {row.error}"
        raise Conflict(f"all {budget} search trials of study {row.id} failed", hint=hint)
