"""The lease protocol's SQL: every move is one update guarded by the old state and the token."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    Double,
    Integer,
    Update,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from rankspace.lease import FURTHER_SINCE, PROTOCOL, SURVEYS_SINCE, Capabilities
from rankspace.study import ACTIVE
from rankspace.trial import TRANSITIONS, Purpose, TrialState
from service.leases.choosing import NextTrial, PlannedStudy
from service.storage.attempts import end_attempt
from service.storage.attendance import FENCE, hold_grace
from service.storage.clock import Now
from service.storage.documents import present_study
from service.storage.scope import ALL
from service.storage.tables import AttemptRow, ModelRow, StudyRow, TrialRow, WatermarkRow, table_of
from service.studies.repository import Studies
from service.trials.repository import IS_CLAIMABLE, affected, changed, lock_trials
from service.workers.bars import IS_BARRED
from service.workers.fitness import has_memory

PATIENCE_SECONDS = 600.0
"""How long a trial may wait for workers that have another model at hand."""

UNLIMITED = 1e9

_PROJECT = bindparam("project", type_=StudyRow.project.type)

_IS_SEEN = or_(_PROJECT == ALL, StudyRow.project == _PROJECT)
"""Where studies are joined: those of the parameter ``project``."""

_IS_TRIAL_SEEN = exists(select(1).where(StudyRow.id == TrialRow.study_id, _IS_SEEN))
"""Where they are not."""

_WORKER: BindParameter[Any] = bindparam("worker")
_ATTEMPT = insert(table_of(AttemptRow))

_OPEN = (TrialState.QUEUED.value, TrialState.RUNNING.value)
_IS_QUEUED = TrialRow.state == TrialState.QUEUED.value
_IS_RUNNING = TrialRow.state == TrialState.RUNNING.value
_IS_LATE = TrialRow.lease_until < Now()
_IS_HELD = _IS_RUNNING & (TrialRow.worker == _WORKER) & _IS_TRIAL_SEEN
_SURVEYED_SINCE = case((TrialRow.keep_adapter, SURVEYS_SINCE), else_=FURTHER_SINCE)
_IS_UNDERSTOOD = or_(
    TrialRow.purpose != Purpose.SURVEY.value,
    bindparam("protocol", type_=Integer) >= _SURVEYED_SINCE,
)
"""What a worker of the version before does not know is not for it; it finds other studies."""
_FREE = select(TrialRow.id).join(StudyRow).where(IS_CLAIMABLE, _IS_UNDERSTOOD)
_FITS = has_memory(bindparam("gib", type_=Double)) & or_(
    StudyRow.architecture.in_(bindparam("architectures", expanding=True)),
    StudyRow.architecture == "",
    bindparam("any_architecture", type_=Boolean),
)
_FITTING = _FREE.where(_FITS, _IS_SEEN, ~IS_BARRED)
_WORK = select(1).where(or_(select(TrialRow.id).where(_IS_HELD).exists(), _FITTING.exists()))
_HELD = select(TrialRow).where(_IS_HELD).limit(1)
_CLAIMED = (AttemptRow.trial_id == TrialRow.id) & (AttemptRow.token == TrialRow.token)
_IS_OF_ANOTHER = AttemptRow.process.is_distinct_from(bindparam("process"))
_LEFT_BEHIND = _HELD.join(AttemptRow, _CLAIMED).where(_IS_OF_ANOTHER)

_FIRST = (TrialRow.priority.desc(), TrialRow.id)
_RESIDENT = select(ModelRow.id).where(ModelRow.fingerprint == bindparam("resident"))
_WAITED = TrialRow.created_at < Now() - PATIENCE_SECONDS
_IS_LOADED = StudyRow.model_id.in_(_RESIDENT)
_AT_HAND = case((or_(_IS_LOADED, _WAITED), 0), else_=1)
_NEXT_STUDY = _FITTING.with_only_columns(TrialRow.study_id).order_by(_AT_HAND, *_FIRST).limit(1)
_NEXT_IDLE_STUDY = _NEXT_STUDY.with_for_update(of=StudyRow, key_share=True, skip_locked=True)
_NEXT_TRIAL = _NEXT_STUDY.with_only_columns(
    TrialRow.study_id, StudyRow.project, _AT_HAND, TrialRow.priority
)
_UNFINISHED = (
    select(func.count())
    .where(TrialRow.study_id == StudyRow.id, TrialRow.state.in_(_OPEN))
    .correlate(StudyRow)
    .scalar_subquery()
)
_PLANNED = (
    select(
        StudyRow.request,
        StudyRow.document,
        StudyRow.id,
        StudyRow.project,
        StudyRow.state,
        case((_IS_LOADED, 0), else_=1),
        func.coalesce(WatermarkRow.results, 0),
        _UNFINISHED,
    )
    .outerjoin(WatermarkRow, WatermarkRow.study_id == StudyRow.id)
    .where(StudyRow.id.in_(bindparam("studies", expanding=True)), StudyRow.state.in_(ACTIVE))
)
_NEXT = _FREE.where(TrialRow.study_id == bindparam("study")).order_by(*_FIRST).limit(1)
_CLAIM = (
    update(TrialRow)
    .where(TrialRow.id == _NEXT.scalar_subquery(), _IS_QUEUED)
    .values(
        state=TrialState.RUNNING.value,
        token=case((TrialRow.token < FENCE, FENCE), else_=TrialRow.token) + 1,
        worker=bindparam("holder"),
        lease_until=Now() + bindparam("lease_seconds"),
    )
    .returning(TrialRow)
    .execution_options(populate_existing=True, synchronize_session=False)
)

_BACK = {"state": TrialState.QUEUED.value, "worker": None, "lease_until": None}
_TRIALS = table_of(TrialRow)
_HOLDS = (_TRIALS.c.id == bindparam("trial")) & (_TRIALS.c.token == bindparam("held"))


def _from(*states: TrialState) -> Update:
    """A move of a trial that its holder may make while it is in one of these states."""
    return update(_TRIALS).where(_HOLDS, _TRIALS.c.state.in_([state.value for state in states]))


_MOVE = _from(TrialState.RUNNING)
_RENEW = _MOVE.values(lease_until=Now() + bindparam("lease_seconds"))
_REQUEUE = _MOVE.values(_BACK)
_ENDED: dict[str, Any] = {"error": bindparam("said"), "finished_at": Now(), "lease_until": None}
_FINISH = {
    state: _from(*(old for old, following in TRANSITIONS.items() if state in following)).values(
        state=state.value, **_ENDED
    )
    for state in (TrialState.DONE, TrialState.FAILED)
}

_AGE = select(Now() - bindparam("since", type_=Double))
_SPENT = select(AttemptRow.seconds).where(
    AttemptRow.trial_id == bindparam("trial"), AttemptRow.token == bindparam("held")
)


class Leases:
    """Who may work on which trial. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def has_work(
        self, worker: str, able: Capabilities | None, project: str, *, protocol: int = PROTOCOL
    ) -> bool:
        """Whether a claim by ``worker``, which speaks ``protocol``, would succeed right now."""
        given = {"worker": worker, "project": project, "protocol": protocol, **_needs(able)}
        return self._session.scalar(_WORK, given) is not None

    def held_by(self, worker: str, project: str) -> TrialRow | None:
        return self._session.scalar(_HELD, {"worker": worker, "project": project})

    def left_behind(self, worker: str, process: str, project: str) -> TrialRow | None:
        """A trial ``worker`` holds that a ``process`` before this one of the same name claimed."""
        given = {"worker": worker, "process": process, "project": project}
        return self._session.scalar(_LEFT_BEHIND, given)

    def next_one(
        self, worker: str, able: Capabilities | None, project: str, *, protocol: int = PROTOCOL
    ) -> NextTrial | None:
        """The queued trial that is next for ``worker``, as ``lock_next_study`` finds it."""
        given = _asked(worker, able, project, protocol=protocol)
        found = self._session.execute(_NEXT_TRIAL, given).one_or_none()
        if found is None:
            return None
        study, whose, to_load, priority = found
        return NextTrial(study, whose, (to_load, -priority))

    def planned(self, studies: Sequence[str], able: Capabilities | None) -> list[PlannedStudy]:
        """Those of ``studies`` that go on by themselves."""
        given = {"studies": studies, "resident": able.resident if able else None}
        return [_planned(row) for row in self._session.execute(_PLANNED, given)]

    def lock_next_study(
        self, worker: str, able: Capabilities | None, project: str, *, protocol: int = PROTOCOL
    ) -> str | None:
        """Lock the active study whose queued trial is next for ``worker``, which is ``able``.

        One whose model is loaded there comes first, unless another has waited for long. Studies
        somebody is writing to at this moment are passed over, unless there is no other.
        """
        given = _asked(worker, able, project, protocol=protocol)
        idle = self._session.scalar(_NEXT_IDLE_STUDY, given)
        if idle is not None:
            return idle
        study = self._session.scalar(_NEXT_STUDY, given)
        if study is not None:
            Studies(self._session).lock(study)
        return study

    def claim(
        self,
        study: str,
        worker: str,
        lease_seconds: float,
        process: str | None = None,
        *,
        protocol: int = PROTOCOL,
    ) -> TrialRow | None:
        """Hand the study's next queued trial to ``worker``; its token rises by one."""
        given = {"study": study, "holder": worker, "lease_seconds": lease_seconds}
        given["protocol"] = protocol
        hold_grace(self._session)
        claimed = self._session.scalar(_CLAIM, given)
        if claimed is not None:
            claim = {"trial_id": claimed.id, "token": claimed.token}
            self._session.execute(_ATTEMPT, {**claim, "worker": worker, "process": process})
        return claimed

    def renew(self, trial: int, token: int, lease_seconds: float) -> bool:
        """Extend the lease; false when ``token`` no longer holds a running trial."""
        hold_grace(self._session)
        return self._moves(_RENEW, trial, token, lease_seconds=lease_seconds)

    def finish(self, trial: int, token: int, state: TrialState, error: str | None) -> bool:
        """End the trial for good; false when ``token`` may not."""
        return self._moves(_FINISH[state], trial, token, said=error)

    def requeue(self, trial: int, token: int) -> bool:
        """Take the trial from its holder; the token stays until somebody claims anew."""
        return self._moves(_REQUEUE, trial, token)

    def expire(self, trial: int, token: int, death: str | None, *, is_dead: bool = False) -> bool:
        """Take a trial that is overdue, or whose holder is dead, for good if it has a ``death``.

        False when ``token`` holds it no more, or was renewed meanwhile.
        """
        due = _MOVE if is_dead else _MOVE.where(_TRIALS.c.lease_until < Now())
        dead = {"state": TrialState.DEAD.value, "error": death, "finished_at": Now()}
        values = {**_BACK, **(dead if death else {}), "expiries": _TRIALS.c.expiries + 1}
        return self._moves(due.values(values), trial, token)

    def _moves(self, move: Update, trial: int, token: int, **given: Any) -> bool:
        return changed(self._session.execute(move, {"trial": trial, "held": token, **given}))

    def overdue(self) -> Sequence[str]:
        """Studies with a trial whose lease is over."""
        late = select(TrialRow.study_id).distinct().where(_IS_RUNNING, _IS_LATE)
        return self._session.scalars(late.order_by(TrialRow.study_id)).all()

    def late(self, study: str) -> Sequence[TrialRow]:
        """The study's trials whose lease is over."""
        mine = select(TrialRow).where(TrialRow.study_id == study, _IS_RUNNING, _IS_LATE)
        return self._session.scalars(mine.order_by(TrialRow.id)).all()

    def grant_grace(self, lease_seconds: float, away_seconds: float) -> int:
        """Let every lease last ``away_seconds`` longer: absences are nobody's fault.

        Never longer than a new one, not even where it would have, by a clock that was set back
        since. And not simply as long as a new one: absences that come again and again would keep a
        dead worker's lease alive for ever.

        Returns:
            How many that changed.
        """
        longer, full = TrialRow.lease_until + away_seconds, Now() + lease_seconds
        until = case((longer < full, longer), else_=full)
        is_other = TrialRow.lease_until != until
        trials = lock_trials(self._session, _IS_RUNNING, is_other)
        running = update(TrialRow).where(TrialRow.id.in_(trials), _IS_RUNNING, is_other)
        quiet = running.execution_options(synchronize_session=False)
        return affected(self._session.execute(quiet.values(lease_until=until)))

    def attempt(self, trial: int, token: int, worker: str) -> AttemptRow | None:
        """The claim (trial, token), if it was ``worker``'s."""
        row = self._session.get(AttemptRow, (trial, token))
        return row if row is not None and row.worker == worker else None

    def age(self, attempt: AttemptRow) -> float:
        """Seconds since the claim; less than none where the clock was set back since."""
        return float(self._session.scalar(_AGE, {"since": attempt.started_at}) or 0.0)

    def set_back(self, seconds: float) -> None:
        """Let all claims that may still be reported have begun earlier: the clock was set back.

        That of an expired lease is one of them.
        """
        last = select(TrialRow.id).where(_CLAIMED, TrialRow.state.in_(_OPEN))
        open_ones = update(AttemptRow).where(last.exists())
        earlier = open_ones.values(started_at=AttemptRow.started_at - seconds)
        self._session.execute(earlier.execution_options(synchronize_session=False))

    def spent(self, trial: int, token: int) -> float:
        """How many seconds the claim (trial, token) held the trial, 0 until it has ended.

        A claim can end twice: its lease expires, and its report comes before anybody else claims.
        """
        return self._session.scalar(_SPENT, {"trial": trial, "held": token}) or 0.0

    def end_attempt(self, trial: int, token: int, outcome: str, error: str | None = None) -> None:
        end_attempt(self._session, trial, token, outcome, error)

    def keep(self, trial: int, token: int, interim: Sequence[Any]) -> bool:
        """Store the claim's interim losses; false when there is no such claim any more."""
        mine = (AttemptRow.trial_id == trial) & (AttemptRow.token == token)
        quiet = update(AttemptRow).where(mine).execution_options(synchronize_session=False)
        return changed(self._session.execute(quiet.values(interim=interim)))

    def blame(self, trial: int, token: int, error: str) -> bool:
        """Note a refused report of the claim; false when one was noted before."""
        mine = (AttemptRow.trial_id == trial) & (AttemptRow.token == token)
        first = update(AttemptRow).where(mine, AttemptRow.error.is_(None)).values(error=error)
        quiet = first.execution_options(synchronize_session=False)
        return changed(self._session.execute(quiet))


def _planned(row: Sequence[Any]) -> PlannedStudy:
    request, document, study, project, state, to_load, results, unfinished = row
    budget = present_study(request, document).search.budget
    return PlannedStudy(study, project, state, to_load, results, unfinished, budget)


def _asked(
    worker: str, able: Capabilities | None, project: str, *, protocol: int
) -> dict[str, Any]:
    """Parameters of ``_NEXT_STUDY``."""
    resident = able.resident if able else None
    mine = {"worker": worker, "resident": resident, "project": project, "protocol": protocol}
    return {**mine, **_needs(able)}


def _needs(able: Capabilities | None) -> dict[str, Any]:
    """Parameters of ``_FITS``; who does not say what it is able to do may do anything."""
    gib = able.gpu_memory_gib if able else UNLIMITED
    known = able.architectures if able else ()
    return {"gib": gib, "architectures": known, "any_architecture": not known}
