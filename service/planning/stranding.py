"""Stranding: whether a survey waits for workers that do not come, while others do."""

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState
from rankspace.lease import SURVEYS_SINCE
from service.storage.clock import Now
from service.storage.tables import EventRow, StudyRow, TrialRow
from service.workers.repository import Workers

SOON_SECONDS = 60.0
"""How long a survey waits for a worker that can run one, while there are only others."""

LATE_SECONDS = 3_600.0
"""How long it waits in any case while there are workers: those that could may not be able to."""

_IS_WAITING = (TrialRow.purpose == Purpose.SURVEY.value) & (
    TrialRow.state == TrialState.QUEUED.value
)

_AGAIN = ("expired", "released", "resumed")
"""Events from which on a survey waits anew: nobody could claim it before."""

_BACK = (
    select(func.max(EventRow.created_at))
    .where(EventRow.study_id == TrialRow.study_id, EventRow.kind.in_(_AGAIN))
    .correlate(TrialRow)
    .scalar_subquery()
)

_SECONDS = Now() - case((TrialRow.created_at < _BACK, _BACK), else_=TrialRow.created_at)

_LONG = case((_SECONDS > LATE_SECONDS, 2), (_SECONDS > SOON_SECONDS, 1), else_=0)

WAITS: ColumnElement[int] = case((_IS_WAITING, _LONG), else_=0)
"""Of a trial: 1 for a survey that has waited for some time, 2 for one that has waited for long."""


def is_stranded(session: Session, study: str, active_seconds: float) -> bool:
    """Whether the survey of ``study`` had better be left out; not while there is no worker for it.

    Workers of other projects do not count, nor those with too little memory: they get no trial of
    the study, whatever they can run.
    """
    waits = session.scalar(select(func.max(WAITS)).where(TrialRow.study_id == study))
    if not waits:
        return False
    workers = Workers(session)
    project = session.scalars(select(StudyRow.project).where(StudyRow.id == study)).one()
    if not workers.able(active_seconds, study, project):
        return False
    return int(waits) > 1 or not workers.able(active_seconds, study, project, SURVEYS_SINCE)
