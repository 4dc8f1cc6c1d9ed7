"""What a person may do to a study that runs."""

from sqlalchemy.orm import Session

from rankspace.errors import Conflict
from rankspace.study import StudyState
from service.storage.documents import study_of
from service.storage.events import Events
from service.storage.tables import StudyRow
from service.studies.repository import ACTIVE, Studies
from service.trials.repository import Trials
from service.trials.workflow import keep_within

OVER = (StudyState.DONE, StudyState.CANCELLED, StudyState.FAILED)
RESUMABLE = (StudyState.PAUSED, StudyState.FAILED)


def pause(session: Session, study: str) -> StudyRow:
    """Hand out no more trials; those that run may finish. Repeating it changes nothing.

    Raises:
        Conflict: The study is over.
    """
    row = Studies(session).locked(study)
    if row.state != StudyState.PAUSED:
        _require(row, *ACTIVE)
        row.state = StudyState.PAUSED.value
        Events(session).record("paused", study)
    return row


def resume(session: Session, study: str) -> StudyRow:
    """Go on with the stage it was in; a failed stage is tried again.

    Raises:
        Conflict: The study is over, or its search has failed with all its trials.
    """
    row = Studies(session).locked(study)
    if row.state in RESUMABLE:
        _check_retry(session, row)
        row.retries += int(row.state == StudyState.FAILED)
        row.state, row.error = row.stage, None
        keep_within(session, study, study_of(row.document).search.budget.trials)
        Events(session).record("resumed", study)
    else:
        _require(row, *ACTIVE)
    return row


def cancel(session: Session, study: str) -> StudyRow:
    """Stop for good; workers hear of it with their next heartbeat. Repeating changes nothing.

    Raises:
        Conflict: The study is already done.
    """
    row = Studies(session).locked(study)
    if row.state != StudyState.CANCELLED:
        _require(row, *ACTIVE, *RESUMABLE)
        row.state = StudyState.CANCELLED.value
        Trials(session).cancel_all(study)
        Events(session).record("cancelled", study)
    return row


def delete(session: Session, study: str) -> None:
    """Forget a study that is over.

    Raises:
        Conflict: It still goes on.
    """
    row = Studies(session).locked(study)
    _require(row, *OVER)
    Studies(session).delete(study)


def _check_retry(session: Session, row: StudyRow) -> None:
    """A search that used all its trials and has not one score can only fail again."""
    trials, budget = Trials(session), study_of(row.document).search.budget.trials
    is_failed_search = row.state == StudyState.FAILED and row.stage == StudyState.SEARCHING
    if is_failed_search and trials.all_failed(row.id, budget):
        hint = f"submit a new study once the cause is mended: {row.error}"
        raise Conflict(f"all {budget} search trials of study {row.id} failed", hint=hint)


def _require(row: StudyRow, *states: StudyState) -> None:
    if row.state not in states:
        possible = ", ".join(states)
        raise Conflict(f"study {row.id} is {row.state}", hint=f"only possible while {possible}")
