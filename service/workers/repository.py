"""Queries on workers: who there is, when each was last seen, and who gets no trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    Integer,
    String,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from rankspace.errors import NotFound, WrongWorker
from rankspace.lease import Capabilities
from service.access.caller import WorkerIdentity
from service.access.keys import IS_LIVE
from service.storage.clock import Now
from service.storage.db import insert_new
from service.storage.scope import ALL, EVERYTHING, Scope
from service.storage.tables import AttemptRow, KeyRow, StudyRow, TrialRow, WorkerRow, table_of
from service.trials.repository import changed
from service.workers.fitness import HAS_MEMORY, Memory

_WORKERS = table_of(WorkerRow)
_SEEN = update(_WORKERS).where(_WORKERS.c.name == bindparam("worker")).values(last_seen=Now())
_KEY_PROJECT = bindparam("key_project", type_=String)
_HAS_KEY = exists().where(KeyRow.worker == _WORKERS.c.name, IS_LIVE)
_IS_OPEN = or_(bindparam("is_bound", type_=Boolean), ~_HAS_KEY) & or_(
    _KEY_PROJECT == ALL, _WORKERS.c.project.in_((ALL, _KEY_PROJECT))
)
"""Whether a key may use the name: a worker's own, or one that nobody else relies on."""

_IS_SAME = _WORKERS.c.project == _KEY_PROJECT
_SEEN_THERE = _SEEN.where(_IS_OPEN).values(
    project=case((_IS_SAME, _WORKERS.c.project), else_=literal(ALL))
)
_LAST = select(Now() - WorkerRow.last_seen, WorkerRow.project)
_SILENCE = _LAST.where(WorkerRow.name == bindparam("worker"))
_SPOKEN, _GIB = bindparam("spoken", type_=Integer), bindparam("gib", type_=Double)
_IS_NEWS = or_(_WORKERS.c.protocol != _SPOKEN, _WORKERS.c.gpu_memory_gib.is_distinct_from(_GIB))
_SAYS = (
    update(_WORKERS)
    .where(_WORKERS.c.name == bindparam("worker"), _IS_NEWS)
    .values(protocol=_SPOKEN, gpu_memory_gib=_GIB)
)
_IS_QUARANTINED = WorkerRow.quarantined_at.is_not(None)
_IS_ALIVE = WorkerRow.last_seen > Now() - bindparam("within_seconds")
_ALIVE = select(func.count()).where(_IS_ALIVE, ~_IS_QUARANTINED)
_OF_WORKER = (WorkerRow.project, WorkerRow.gpu_memory_gib)
_MEMORIES = (
    select(*_OF_WORKER, func.count())
    .where(_IS_ALIVE, ~_IS_QUARANTINED)
    .group_by(*_OF_WORKER)
    .order_by(*_OF_WORKER)
)
_SHUT_OUT = select(func.count()).where(_IS_ALIVE, _IS_QUARANTINED)
_QUARANTINE_REASON = select(_IS_OPEN, WorkerRow.quarantine_reason).where(
    WorkerRow.name == bindparam("worker")
)
_REASON = select(WorkerRow.quarantine_reason).where(
    WorkerRow.name == bindparam("worker"), _IS_QUARANTINED
)

_IS_MARKED = select(1).where(
    WorkerRow.name == bindparam("worker"),
    or_(WorkerRow.struck_at.is_not(None), WorkerRow.refusals > 0),
)


class Workers:
    """All workers that ever came. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, worker: str) -> None:
        """Note a sign of life; requests of one worker take turns from here on."""
        self._session.execute(_SEEN, {"worker": worker})

    def touch(self, worker: str, identity: WorkerIdentity) -> None:
        """As ``lock``, for whoever speaks with ``identity``; the first time it becomes a worker.

        Whoever comes with keys of all projects, too, is nobody's in particular from then on.

        Raises:
            WrongWorker: The name is not for that identity.
        """
        if not self._is_touched(worker, identity):
            self.add(worker, identity.project)  # changes nothing where it is there
            if not self._is_touched(worker, identity):
                raise _taken(worker)

    def note(self, worker: str, protocol: int, able: Capabilities | None) -> None:
        """Note which version of the lease protocol it speaks, and what it has, if that is news."""
        gib = able.gpu_memory_gib if able else None
        self._session.execute(_SAYS, {"worker": worker, "spoken": protocol, "gib": gib})

    def memories(self, within_seconds: float) -> Mapping[Memory, int]:
        """Count those seen lately that get trials by what they have, always in one order."""
        found = self._session.execute(_MEMORIES, {"within_seconds": within_seconds})
        return {Memory(project, gib): count for project, gib, count in found}

    def able(self, within_seconds: float, study: str, project: str, protocol: int = 1) -> int:
        """Count those seen lately that get trials of ``study``, which is of ``project``.

        They have the memory for them, and speak ``protocol`` at least.
        """
        given = {"within_seconds": within_seconds, "study": study}
        mine = WorkerRow.project.in_((ALL, project)), WorkerRow.protocol >= protocol
        return int(self._session.scalar(_ALIVE.where(*mine, HAS_MEMORY), given) or 0)

    def _is_touched(self, worker: str, identity: WorkerIdentity) -> bool:
        return changed(self._session.execute(_SEEN_THERE, _given(worker, identity)))

    def quarantine_reason(self, worker: str, identity: WorkerIdentity) -> str | None:
        """Why it gets no trials; None when it does, or never came.

        Raises:
            WrongWorker: The name is not for that identity.
        """
        found = self._session.execute(_QUARANTINE_REASON, _given(worker, identity)).one_or_none()
        is_open, reason = found or (True, None)
        if not is_open:
            raise _taken(worker)
        return reason

    def add(self, worker: str, project: str) -> None:
        """Make a worker of ``project``, unless there is one of this name."""
        insert_new(self._session, _WORKERS, name=worker, project=project)

    def get(self, worker: str, scope: Scope = EVERYTHING) -> WorkerRow:
        """Return the worker, as ``scope`` may see it.

        Raises:
            NotFound: There is none.
        """
        found = select(WorkerRow).where(WorkerRow.name == worker, _is_known_in(scope))
        row = self._session.scalar(found.execution_options(populate_existing=True))
        if row is None:
            raise NotFound(f"there is no worker {worker!r}", hint="GET /v1/workers lists them")
        return row

    def quarantine(self, worker: str) -> str | None:
        """Why it gets no trials; None when it does."""
        return self._session.scalar(_REASON, {"worker": worker})

    def shut_out(self, worker: str, reason: str) -> None:
        """Put it in quarantine; one that is there already stays, for the new reason."""
        since = func.coalesce(WorkerRow.quarantined_at, Now())
        self._set(worker, quarantined_at=since, quarantine_reason=reason)

    def reinstate(self, worker: str) -> None:
        """Take it out of quarantine, if it is there, and forget why."""
        self._set(worker, quarantined_at=None, quarantine_reason=None, struck_at=None, refusals=0)

    def forgive(self, worker: str) -> None:
        """Forget failures and refusals."""
        if self._session.scalar(_IS_MARKED, {"worker": worker}):
            self._set(worker, struck_at=None, refusals=0)

    def refuse(self, worker: str) -> int:
        """Count a refused report; return how many there are since the last good one."""
        self._set(worker, refusals=WorkerRow.refusals + 1)
        return self.get(worker).refusals

    def strike(self, worker: str, trial: int) -> None:
        """Note that ``trial`` failed, if it is the first since the last good result."""
        failed_at = select(TrialRow.finished_at).where(TrialRow.id == trial).scalar_subquery()
        self._set(worker, struck_at=func.coalesce(WorkerRow.struck_at, failed_at))

    def _set(self, worker: str, **values: Any) -> None:
        mine = update(WorkerRow).where(WorkerRow.name == worker).values(**values)
        self._session.execute(mine.execution_options(synchronize_session=False))

    def quarantined(self, within_seconds: float) -> int:
        """Count those in quarantine that were seen lately."""
        return int(self._session.scalar(_SHUT_OUT, {"within_seconds": within_seconds}) or 0)

    def silence(self, worker: str) -> tuple[float, str] | None:
        """Seconds since its last sign of life, and its project; None if it never gave one."""
        last = self._session.execute(_SILENCE, {"worker": worker}).one_or_none()
        return None if last is None else (last[0], last[1])

    def active(self, within_seconds: float) -> int:
        """Count those seen lately that get trials."""
        return int(self._session.scalar(_ALIVE, {"within_seconds": within_seconds}) or 0)

    def page(self, cursor: str, limit: int, scope: Scope = EVERYTHING) -> Sequence[WorkerRow]:
        """List workers by name: those of ``scope``, and those that ever held a trial there."""
        named = select(WorkerRow).where(WorkerRow.name > cursor, _is_known_in(scope))
        return self._session.scalars(named.order_by(WorkerRow.name).limit(limit)).all()


def _given(worker: str, identity: WorkerIdentity) -> dict[str, Any]:
    return {"worker": worker, "key_project": identity.project, "is_bound": identity.is_bound}


def _taken(worker: str) -> WrongWorker:
    """Without saying by whom: that is another project's affair."""
    return WrongWorker(
        f"worker {worker!r} has a key of its own, or is another project's",
        hint="send its own key, or choose another name: RANKADAPTOR_WORKER or --name",
    )


def _is_known_in(scope: Scope) -> ColumnElement[bool]:
    worked = (
        select(AttemptRow.trial_id)
        .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(AttemptRow.worker == WorkerRow.name, StudyRow.project == scope.project)
    )
    mine = WorkerRow.project == scope.project
    return true() if scope.is_everything else or_(mine, exists(worked))
