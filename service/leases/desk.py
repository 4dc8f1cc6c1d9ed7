"""The lease desk: each call is one transaction."""

import math
import time
from collections import Counter
from collections.abc import Sequence

import structlog

from rankspace import Assignment
from rankspace.capabilities import Capabilities
from rankspace.errors import InvalidInput, LeaseLost
from service.db import Database
from service.doorbell import Doorbell
from service.leases import workflow
from service.leases.assignment import assignment
from service.leases.pulse import beat
from service.leases.repository import Leases
from service.leases.schemas import Beat, Heartbeat, Holding, Receipt, Report
from service.leases.sense import Senseless
from service.leases.spent import spent
from service.metrics.metrics import Metrics
from service.quarantine import rules as quarantine
from service.scope import ALL
from service.settings import Settings
from service.voice import LOCAL, Voice
from service.workers.repository import Workers

BEATS_PER_LEASE, ABSENCES_PER_LEASE = 24, 8
"""How often a lease's time holds a pulse, and an absence after which holders get a full lease."""

TOUCHES = 4
"""Signs of life of an idle worker that are noted while it counts as active after one."""

TURNS = 3
"""Turns of the steward that may fail to come before that is an absence."""

MISSES = 2
"""Turns in which expiry passes over a study that somebody is writing to, before it waits for it."""

log = structlog.get_logger(__name__)


class LeaseDesk:
    """Hands out trials and takes their results back."""

    def __init__(
        self, database: Database, doorbell: Doorbell, settings: Settings, metrics: Metrics
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._beaten = -math.inf
        self._missed: Counter[str] = Counter()
        self._metrics = metrics

    def bury(self, worker: str, process: str, voice: Voice = LOCAL) -> str | None:
        """Let the trial that died with an earlier process of ``worker`` expire at once.

        Returns:
            Its study, if there was one.
        """
        with self._database.reading() as session:
            if Leases(session).left_behind(worker, process, voice.project) is None:
                return None
        with self._database.writing() as session:
            left = workflow.bury(session, worker, process, voice)
            seconds = spent(session, left.id, left.token) if left else 0.0
        if left is None:
            return None
        log.warning("worker restarted", worker=worker, trial=left.id, token=left.token)
        self._count_expired([seconds])
        self._doorbell.ring(1)
        return left.study_id

    def admit(self, worker: str, voice: Voice = LOCAL) -> None:
        """Refuse a worker in quarantine that holds no trial; it is noted as seen all the same.

        Raises:
            WrongWorker: The name is not for this ``voice``.
            Quarantined: It is one.
        """
        with self._database.reading() as session:
            is_free = Workers(session).standing(worker, voice) is None
            if is_free or Leases(session).held_by(worker, voice.project):
                return
        with self._database.writing() as session:
            Workers(session).touch(worker, voice)
        with self._database.reading() as session:
            quarantine.check(session, worker)

    def touch(self, worker: str, voice: Voice = LOCAL) -> bool:
        """Note a sign of life of a worker that found nothing to do.

        Returns:
            Whether it counts as active only from now on.
        """
        with self._database.reading() as session:
            silence, place = Workers(session).silence(worker) or (math.inf, "")
        most = self._settings.active_worker_seconds
        if silence < most / TOUCHES and place in (voice.project, ALL):
            return False
        with self._database.writing() as session:
            Workers(session).touch(worker, voice)
        return silence >= most

    def has_work(self, worker: str, able: Capabilities | None = None, voice: Voice = LOCAL) -> bool:
        """Look without a write transaction, for the many polls that find nothing."""
        with self._database.reading() as session:
            return Leases(session).has_work(worker, able, voice.project)

    def claim(
        self,
        worker: str,
        able: Capabilities | None = None,
        voice: Voice = LOCAL,
        process: str | None = None,
    ) -> Assignment | None:
        with self._database.writing() as session:
            lease_seconds = self._settings.lease_seconds
            trial = workflow.claim(session, worker, able, lease_seconds, voice, process)
            handed = assignment(session, trial, self._settings) if trial else None
        if handed:
            log.info("claimed", trial=handed.trial_id, token=handed.token, worker=worker)
        return handed

    def heartbeat(self, trial: int, beat: Heartbeat, voice: Voice = LOCAL) -> Beat:
        with self._database.writing() as session:
            return workflow.heartbeat(session, trial, beat, self._settings.lease_seconds, voice)

    def report(self, trial: int, given: Report, voice: Voice = LOCAL) -> Receipt:
        try:
            with self._database.writing() as session:
                earlier = spent(session, trial, given.token)
                receipt = workflow.report(session, trial, given, voice)
                seconds = spent(session, trial, given.token) - earlier
        except LeaseLost:
            self._metrics.stale_reports.inc()
            raise
        except Senseless as error:
            log.warning("senseless", trial=trial, worker=given.worker, problem=error.detail)
            with self._database.writing() as session:
                workflow.distrust(session, trial, given, error)
            raise InvalidInput(error.field, error.value, error.problem, fix=error.hint) from None
        log.info("reported", trial=trial, outcome=given.outcome, status=receipt.status)
        if receipt.status == "duplicate":
            self._metrics.duplicate_reports.inc()
        else:
            self._metrics.accepted_reports.labels(given.outcome).inc()
            self._metrics.gpu_seconds.labels(given.outcome).inc(seconds)
        return receipt

    def release(self, trial: int, holding: Holding, voice: Voice = LOCAL) -> None:
        with self._database.writing() as session:
            earlier = spent(session, trial, holding.token)
            workflow.release(session, trial, holding, voice)
            seconds = spent(session, trial, holding.token) - earlier
        self._metrics.gpu_seconds.labels("released").inc(seconds)
        self._doorbell.ring(1)

    def tend(self) -> None:
        """Take overdue trials back, unless nobody was there to renew them."""
        self._beat()
        with self._database.reading() as session:
            studies = Leases(session).overdue()
        self._missed = Counter({study: self._missed[study] for study in studies})
        for study in sorted(studies, key=self._missed.__getitem__):  # those to wait for come last
            if count := self._expire(study):
                self._doorbell.ring(count)

    def _between(self, since: float) -> float:
        """Seconds that lie between two turns of the steward anyway; none before the first."""
        return TURNS * self._settings.steward_seconds if math.isfinite(since) else 0.0

    def _expire(self, study: str) -> int:
        with self._database.writing() as session:
            late = workflow.expire(session, study, waits=self._missed[study] >= MISSES)
            seconds = [spent(session, row.id, row.token) for row in late or ()]
        if late is None:
            self._missed[study] += 1
            return 0
        if late:
            log.info("expired", study=study, trials=[row.id for row in late])
            self._count_expired(seconds)
        return len(late)

    def _count_expired(self, seconds: Sequence[float]) -> None:
        self._metrics.expired_leases.inc(len(seconds))
        self._metrics.gpu_seconds.labels("expired").inc(sum(seconds))

    def _beat(self) -> None:
        """Note now and then that somebody is there; after an absence give every holder a lease."""
        lease = self._settings.lease_seconds
        since = time.monotonic() - self._beaten
        if since < lease / BEATS_PER_LEASE:
            return
        with self._database.writing() as session:
            away = beat(session)
            is_absence = away > max(lease / ABSENCES_PER_LEASE, self._between(since))
            renewed = Leases(session).grant_grace(lease) if is_absence else 0
        if renewed:
            log.info("leases renewed", leases=renewed, absent_seconds=round(away, 1))
        self._beaten = time.monotonic()
