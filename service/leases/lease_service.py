"""LeaseService: each call is one transaction."""

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import structlog
from sqlalchemy.orm import Session

from rankspace import Assignment
from rankspace.errors import InvalidInput, LeaseLost
from rankspace.lease import (
    PROTOCOL,
    Capabilities,
    Claim,
    Heartbeat,
    HeartbeatAnswer,
    Receipt,
    Release,
    Report,
)
from service.access.caller import WorkerIdentity
from service.leases import workflow
from service.leases.assignment import assignment
from service.leases.choosing import Choice, choice
from service.leases.inputs import OtherInputs
from service.leases.plausibility import ImplausibleMeasurement
from service.leases.repository import Leases
from service.settings import Settings
from service.signals.doorbell import Doorbell
from service.storage.attendance import attend, await_leases, unattended
from service.storage.db import Database
from service.storage.scope import ALL
from service.telemetry.metrics import Metrics
from service.workers import quarantine
from service.workers.repository import Workers

TURNS_PER_LEASE, ABSENCES_PER_LEASE = 24, 8
"""How often attendance is noted per lease, and how much longer absences may be than nothing."""

TOUCHES = 4
"""Signs of life of an idle worker that are noted while it counts as active after one."""

TURNS = 3
"""Turns of housekeeping that may fail to come before that is an absence."""

MISSES = 2
"""Turns in which expiry passes over a study that somebody is writing to, before it waits for it."""

log = structlog.get_logger(__name__)


class _Unattended(Exception):
    """The leases were not looked after for longer than usual, or so the clock says."""


class LeaseService:
    """Hands out trials and takes their results back."""

    def __init__(
        self, database: Database, doorbell: Doorbell, settings: Settings, metrics: Metrics
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._has_attended = False
        self._missed: Counter[str] = Counter()
        self._metrics = metrics

    def expire_orphan(self, worker: str, process: str, identity: WorkerIdentity) -> str | None:
        """Let the trial that died with an earlier process of ``worker`` expire at once.

        Returns:
            Its study, if there was one.
        """
        with self._database.reading() as session:
            if Leases(session).left_behind(worker, process, identity.project) is None:
                return None
        with self._database.writing() as session:
            left = workflow.expire_orphan(session, worker, process, identity)
            seconds = Leases(session).spent(left.id, left.token) if left else 0.0
        if left is None:
            return None
        log.warning("worker restarted", worker=worker, trial=left.id, token=left.token)
        self._count_expired([seconds])
        self._doorbell.ring(1)
        return left.study_id

    def admit(self, worker: str, identity: WorkerIdentity) -> None:
        """Refuse a worker in quarantine that holds no trial; it is noted as seen all the same.

        Raises:
            WrongWorker: The name is not for this ``identity``.
            Quarantined: It is one.
        """
        with self._database.reading() as session:
            is_free = Workers(session).quarantine_reason(worker, identity) is None
            if is_free or Leases(session).held_by(worker, identity.project):
                return
        with self._database.writing() as session:
            Workers(session).touch(worker, identity)
        with self._database.reading() as session:
            quarantine.check(session, worker)

    def touch(
        self,
        worker: str,
        identity: WorkerIdentity,
        protocol: int = PROTOCOL,
        able: Capabilities | None = None,
    ) -> bool:
        """Note a sign of life of a worker that found nothing to do, what it speaks and has.

        Returns:
            Whether it counts as active only from now on.
        """
        with self._database.reading() as session:
            silence, project = Workers(session).silence(worker) or (math.inf, "")
        most = self._settings.active_worker_seconds
        if silence < most / TOUCHES and project in (identity.project, ALL):
            return False
        with self._database.writing() as session:
            Workers(session).touch(worker, identity)
            Workers(session).note(worker, protocol, able)
        return silence >= most

    def has_work(
        self,
        worker: str,
        identity: WorkerIdentity,
        able: Capabilities | None = None,
        protocol: int = PROTOCOL,
    ) -> bool:
        """Look without a write transaction, for the many polls that find nothing."""
        with self._database.reading() as session:
            return Leases(session).has_work(worker, able, identity.project, protocol=protocol)

    def choose(self, given: Claim, identity: WorkerIdentity, pending: Sequence[str]) -> Choice:
        """Whose trial a claim would get, and on which of the ``pending`` plans that hangs.

        ``pending``: studies with plans that this worker's results asked for, in that order.
        """
        able = given.capabilities
        with self._database.reading() as session:
            leases = Leases(session)
            held = leases.held_by(given.worker, identity.project)
            if held is not None:
                return Choice(held.study_id)
            found = leases.next_one(given.worker, able, identity.project, protocol=given.protocol)
            planned = leases.planned(pending, able) if pending else ()
        return choice(found, pending, planned)

    def claim(self, given: Claim, identity: WorkerIdentity) -> Assignment | None:
        self._attend()  # or the claim would be taken for one from before a clock was set back
        with self._database.writing() as session:
            trial = workflow.claim(session, given, self._settings.lease_seconds, identity)
            handed = assignment(session, trial, self._settings) if trial else None
        if handed:
            log.info("claimed", trial=handed.trial_id, token=handed.token, worker=given.worker)
        return handed

    def heartbeat(self, trial: int, given: Heartbeat, identity: WorkerIdentity) -> HeartbeatAnswer:
        lease = self._settings.lease_seconds
        with self._database.writing() as session:
            answer, cut = workflow.heartbeat(session, trial, given, lease, identity)
        if cut:
            log.warning("interim losses left out", trial=trial, worker=given.worker, pairs=cut)
            self._metrics.implausible_interim.inc(cut)
        return answer

    def report(self, trial: int, given: Report, identity: WorkerIdentity) -> Receipt:
        self._attend()  # or a clock that was set back since the claim makes the result implausible
        try:
            with self._database.writing() as session:
                earlier = Leases(session).spent(trial, given.token)
                receipt = workflow.report(session, trial, given, identity)
                seconds = Leases(session).spent(trial, given.token) - earlier
        except LeaseLost:
            self._metrics.stale_reports.inc()
            raise
        except OtherInputs as error:
            log.warning("other inputs", trial=trial, worker=given.worker, problem=error.detail)
            self._give_back(trial, given, error, identity)
            raise LeaseLost(error.detail, hint=error.hint) from None
        except ImplausibleMeasurement as error:
            log.warning("implausible", trial=trial, worker=given.worker, problem=error.detail)
            with self._database.writing() as session:
                workflow.distrust(session, trial, given, error)
            raise InvalidInput(error.field, error.value, error.problem, fix=error.hint) from None
        log.info("reported", trial=trial, outcome=given.outcome, status=receipt.status)
        if receipt.status == "duplicate":
            self._metrics.duplicate_reports.inc()
        else:
            self._metrics.accepted_reports.labels(given.outcome).inc()
            self._count_seconds(given.outcome, seconds)
        return receipt

    def release(self, trial: int, given: Release, identity: WorkerIdentity) -> None:
        with self._database.writing() as session:
            earlier = Leases(session).spent(trial, given.token)
            workflow.release(session, trial, given, identity)
            seconds = Leases(session).spent(trial, given.token) - earlier
        if given.reason:
            log.warning("barred", worker=given.worker, study=given.study_id, problem=given.reason)
        self._count_seconds("released", seconds)
        self._doorbell.ring(1)

    def _give_back(
        self, trial: int, given: Report, error: OtherInputs, identity: WorkerIdentity
    ) -> None:
        """The trial runs again, where the study's inputs are; here none of it for a while."""
        held = given.worker, given.token, given.study_id
        self.release(trial, Release(*held, f"{error.detail}; {error.hint}"), identity)

    def sweep(self) -> None:
        """Take overdue trials back, unless nobody was there to renew them."""
        with self._database.reading() as session:
            studies = Leases(session).overdue()
        self._attend()  # after the look: what a clock made overdue in between waits a turn
        self._missed = Counter({study: self._missed[study] for study in studies})
        for study in sorted(studies, key=self._missed.__getitem__):  # those to wait for come last
            if count := self._expire(study):
                self._doorbell.ring(count)

    def _expire(self, study: str) -> int:
        try:
            with self._database.writing() as session:
                late = workflow.expire(session, study, waits=self._missed[study] >= MISSES)
                seconds = [Leases(session).spent(row.id, row.token) for row in late or ()]
                self._check_attended(session)
        except _Unattended:
            return 0  # the next turn first gives the time back
        if late is None:
            self._missed[study] += 1
            return 0
        if late:
            log.info("expired", study=study, trials=[row.id for row in late])
            self._count_expired(seconds)
        return len(late)

    def _check_attended(self, session: Session) -> None:
        """Raise where the clock was set since the turn began: what is late by it may not be."""
        if not self._is_usual(unattended(session)):
            raise _Unattended

    def _count_expired(self, seconds: Sequence[float]) -> None:
        self._metrics.expired_leases.inc(len(seconds))
        self._count_seconds("expired", sum(seconds))

    def _count_seconds(self, outcome: str, seconds: float) -> None:
        """A claim that ends twice has lasted less at its second end if the clock was set back."""
        self._metrics.gpu_seconds.labels(outcome).inc(max(seconds, 0.0))

    def _attend(self) -> None:
        """Note now and then that somebody is there; give the time of an absence to every holder."""
        with self._database.reading() as session:
            away = unattended(session)
        if 0.0 <= away < self._settings.lease_seconds / TURNS_PER_LEASE:
            return
        if self._is_usual(away):
            with suppress(_Unattended), self._database.writing() as session:
                self._note(session)
                return
        self._give_time_back()

    def _note(self, session: Session) -> None:
        if not self._is_usual(attend(session)):
            raise _Unattended
        self._has_attended = True

    def _give_time_back(self) -> None:
        with self._database.writing() as session:
            await_leases(session)
            away = attend(session)
            lost = max(away - self._usual_seconds(), 0.0)
            lease = self._settings.lease_seconds
            renewed = 0 if self._is_usual(away) else Leases(session).grant_grace(lease, lost)
            if away < 0.0:  # by so much, less what went by since the last note
                Leases(session).set_back(self._usual_seconds() - away)
        if renewed:
            log.info("leases renewed", leases=renewed, absent_seconds=round(away, 1))
        self._has_attended = True

    def _is_usual(self, away: float) -> bool:
        """Whether that is no absence, and no clock was set."""
        return 0.0 <= away <= self._usual_seconds()

    def _usual_seconds(self) -> float:
        """Seconds between two notes that are no absence; before the first there were no turns."""
        between = TURNS * self._settings.housekeeping_seconds if self._has_attended else 0.0
        return max(self._settings.lease_seconds / ABSENCES_PER_LEASE, between)
