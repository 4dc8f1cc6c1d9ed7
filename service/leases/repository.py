"""The lease protocol's SQL: every move is one update guarded by the old state and the token."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rankspace.study import StudyState
from rankspace.trial import TRANSITIONS, TrialState
from service.clock import Now
from service.leases.sight import IS_SEEN, IS_TRIAL_SEEN, is_worker_seen
from service.scope import ALL, EVERYTHING, Scope
from service.tables import AttemptRow, StudyRow, TrialRow, WorkerRow, table_of
from service.trials.repository import changed

ACTIVE = (StudyState.SEARCHING, StudyState.VERIFYING, StudyState.RECOVERING)


_WORKER: BindParameter[Any] = bindparam("worker")
_WORKERS = table_of(WorkerRow)
_SEEN = update(_WORKERS).where(_WORKERS.c.name == _WORKER).values(last_seen=Now())
_NEW_WORKER = insert(_WORKERS)
_ALIVE = select(func.count()).where(WorkerRow.last_seen > Now() - bindparam("within_seconds"))
_ATTEMPT = insert(table_of(AttemptRow))

_IS_QUEUED = TrialRow.state == TrialState.QUEUED.value
_IS_RUNNING = TrialRow.state == TrialState.RUNNING.value
_IS_HELD = _IS_RUNNING & (TrialRow.worker == _WORKER) & IS_TRIAL_SEEN
_FREE = select(TrialRow.id).join(StudyRow).where(_IS_QUEUED, StudyRow.state.in_(ACTIVE), IS_SEEN)
_WORK = select(1).where(or_(select(TrialRow.id).where(_IS_HELD).exists(), _FREE.exists()))
_HELD = select(TrialRow).where(_IS_HELD).limit(1)

_NEXT = _FREE.order_by(TrialRow.priority.desc(), TrialRow.id).limit(1).scalar_subquery()
_CLAIM = (
    update(TrialRow)
    .where(TrialRow.id == _NEXT, _IS_QUEUED)
    .values(
        state=TrialState.RUNNING.value,
        token=TrialRow.token + 1,
        worker=bindparam("holder"),
        lease_until=Now() + bindparam("lease_seconds"),
    )
    .returning(TrialRow)
    .execution_options(populate_existing=True, synchronize_session=False)
)


class Leases:
    """Who may work on which trial. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def touch(self, worker: str) -> None:
        """Note a sign of life."""
        if not changed(self._session.execute(_SEEN, {"worker": worker})):
            self._session.execute(_NEW_WORKER, {"name": worker})

    def has_work(self, worker: str, project: str = ALL) -> bool:
        """Whether a claim by ``worker`` would succeed right now."""
        return self._session.scalar(_WORK, {"worker": worker, "project": project}) is not None

    def held_by(self, worker: str, project: str = ALL) -> TrialRow | None:
        return self._session.scalar(_HELD, {"worker": worker, "project": project})

    def claim(self, worker: str, lease_seconds: float, project: str = ALL) -> TrialRow | None:
        """Hand the next queued trial of an active study to ``worker``; its token rises by one."""
        given = {"holder": worker, "lease_seconds": lease_seconds, "project": project}
        claimed = self._session.scalar(_CLAIM, given)
        if claimed is not None:
            values = {"trial_id": claimed.id, "token": claimed.token, "worker": worker}
            self._session.execute(_ATTEMPT, values)
        return claimed

    def renew(self, trial: int, token: int, lease_seconds: float) -> bool:
        """Extend the lease; false when ``token`` no longer holds a running trial."""
        return self._move(trial, token, (TrialState.RUNNING,), lease_until=Now() + lease_seconds)

    def finish(
        self, trial: int, token: int, state: TrialState, error: str | None, *, expired: bool = False
    ) -> bool:
        """End the trial for good; false when ``token`` may not."""
        return self._move(
            trial,
            token,
            _sources(state),
            state=state.value,
            error=error,
            lease_until=None,
            finished_at=Now(),
            expiries=TrialRow.expiries + int(expired),
        )

    def requeue(self, trial: int, token: int, *, expired: bool) -> bool:
        """Take the trial from its holder; the token stays until somebody claims anew."""
        return self._move(
            trial,
            token,
            (TrialState.RUNNING,),
            state=TrialState.QUEUED.value,
            worker=None,
            lease_until=None,
            expiries=TrialRow.expiries + int(expired),
        )

    def _move(self, trial: int, token: int, states: Sequence[TrialState], **values: Any) -> bool:
        guarded = update(TrialRow).where(
            TrialRow.id == trial, TrialRow.token == token, TrialRow.state.in_(states)
        )
        quiet = guarded.values(**values).execution_options(synchronize_session=False)
        return changed(self._session.execute(quiet))

    def expired(self) -> Sequence[TrialRow]:
        late = select(TrialRow).where(
            TrialRow.state == TrialState.RUNNING, TrialRow.lease_until < Now()
        )
        return self._session.scalars(late.order_by(TrialRow.id)).all()

    def any_expired(self) -> bool:
        late = (TrialRow.state == TrialState.RUNNING) & (TrialRow.lease_until < Now())
        return bool(self._session.scalar(select(exists().where(late))))

    def grant_grace(self, lease_seconds: float) -> None:
        """Give every holder a full lease from now: the service's own absence is not theirs."""
        late = TrialRow.lease_until < Now() + lease_seconds
        running = update(TrialRow).where(TrialRow.state == TrialState.RUNNING, late)
        self._session.execute(running.values(lease_until=Now() + lease_seconds))

    def attempt(self, trial: int, token: int, worker: str) -> AttemptRow | None:
        """The claim (trial, token), if it was ``worker``'s."""
        row = self._session.get(AttemptRow, (trial, token))
        return row if row is not None and row.worker == worker else None

    def end_attempt(self, trial: int, token: int, outcome: str, error: str | None = None) -> None:
        mine = (AttemptRow.trial_id == trial) & (AttemptRow.token == token)
        spent = Now() - AttemptRow.started_at
        self._session.execute(
            update(AttemptRow)
            .where(mine)
            .values(outcome=outcome, error=error, ended_at=Now(), seconds=spent)
            .execution_options(synchronize_session=False)
        )

    def active_workers(self, within_seconds: float) -> int:
        return int(self._session.scalar(_ALIVE, {"within_seconds": within_seconds}) or 0)

    def workers(self, cursor: str, limit: int, scope: Scope = EVERYTHING) -> Sequence[WorkerRow]:
        named = select(WorkerRow).where(WorkerRow.name > cursor, is_worker_seen(scope))
        return self._session.scalars(named.order_by(WorkerRow.name).limit(limit)).all()


def _sources(state: TrialState) -> tuple[TrialState, ...]:
    return tuple(old for old, following in TRANSITIONS.items() if state in following)
