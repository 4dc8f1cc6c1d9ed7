"""History: a worker's failures in a row, beside what others made of the same studies meanwhile."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from rankspace import TrialState
from service.quarantine.chance import Record
from service.tables import TrialRow, WorkerRow

RECENT = 50
"""Results of others in a study that are looked at, the latest ones: studies change."""

_SINCE = select(WorkerRow.struck_at).where(WorkerRow.name == bindparam("worker")).scalar_subquery()
_FAILED, _DONE = TrialState.FAILED.value, TrialState.DONE.value
_OWN = (
    select(TrialRow.study_id, func.count())
    .where(
        TrialRow.worker == bindparam("worker"),
        TrialRow.state == _FAILED,
        TrialRow.finished_at >= _SINCE,
    )
    .group_by(TrialRow.study_id)
)
_OTHERS = (
    select(TrialRow.state)
    .where(
        TrialRow.study_id == bindparam("study"),
        TrialRow.worker != bindparam("worker"),
        TrialRow.state.in_((_DONE, _FAILED)),
        TrialRow.finished_at >= _SINCE,
    )
    .order_by(TrialRow.finished_at.desc())
    .limit(RECENT)
)


def records(session: Session, worker: str) -> list[Record]:
    """What counts against ``worker``: studies in which others got something done meanwhile."""
    own = session.execute(_OWN, {"worker": worker}).all()
    found = [_record(session, worker, study, failures) for study, failures in own]
    return [record for record in found if record.done]


def _record(session: Session, worker: str, study: str, failures: int) -> Record:
    states: Sequence[str] = session.scalars(_OTHERS, {"worker": worker, "study": study}).all()
    return Record(failures, states.count(_FAILED), states.count(_DONE))
