"""Queries on workers: who there is, and when each was last seen."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, exists, func, select, true, update
from sqlalchemy.orm import Session

from service.clock import Now
from service.scope import EVERYTHING, Scope
from service.tables import AttemptRow, StudyRow, TrialRow, WorkerRow, table_of
from service.trials.repository import changed
from service.upsert import insert_new

_WORKERS = table_of(WorkerRow)
_SEEN = update(_WORKERS).where(_WORKERS.c.name == bindparam("worker")).values(last_seen=Now())
_SILENCE = select(Now() - WorkerRow.last_seen).where(WorkerRow.name == bindparam("worker"))
_ALIVE = select(func.count()).where(WorkerRow.last_seen > Now() - bindparam("within_seconds"))


class Workers:
    """All workers that ever came. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def touch(self, worker: str) -> None:
        """Note a sign of life; requests of one worker take turns from here on."""
        if not changed(self._session.execute(_SEEN, {"worker": worker})):
            insert_new(self._session, _WORKERS, name=worker)

    def silence(self, worker: str) -> float | None:
        """Seconds since its last sign of life; None if it never gave one."""
        return self._session.scalar(_SILENCE, {"worker": worker})

    def active(self, within_seconds: float) -> int:
        """Count those seen lately."""
        return int(self._session.scalar(_ALIVE, {"within_seconds": within_seconds}) or 0)

    def page(self, cursor: str, limit: int, scope: Scope = EVERYTHING) -> Sequence[WorkerRow]:
        """List workers by name: those that ever held a trial in ``scope``."""
        named = select(WorkerRow).where(WorkerRow.name > cursor, _has_worked_in(scope))
        return self._session.scalars(named.order_by(WorkerRow.name).limit(limit)).all()


def _has_worked_in(scope: Scope) -> ColumnElement[bool]:
    worked = (
        select(AttemptRow.trial_id)
        .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(AttemptRow.worker == WorkerRow.name, StudyRow.project == scope.project)
    )
    return true() if scope.is_everything else exists(worked)
