"""The lease desk: each call is one transaction."""

import structlog

from rankspace import Assignment
from rankspace.errors import LeaseLost
from service.db import Database
from service.doorbell import Doorbell
from service.leases import workflow
from service.leases.assignment import assignment
from service.leases.repository import Leases
from service.leases.schemas import Beat, Heartbeat, Holding, Receipt, Report
from service.leases.spent import spent
from service.metrics.metrics import Metrics
from service.settings import Settings

log = structlog.get_logger(__name__)


class LeaseDesk:
    """Hands out trials and takes their results back."""

    def __init__(
        self, database: Database, doorbell: Doorbell, settings: Settings, metrics: Metrics
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._metrics = metrics

    def touch(self, worker: str) -> None:
        """Note a sign of life of a worker that found nothing to do."""
        with self._database.writing() as session:
            Leases(session).touch(worker)

    def has_work(self, worker: str) -> bool:
        """Look without a write transaction, for the many polls that find nothing."""
        with self._database.reading() as session:
            return Leases(session).has_work(worker)

    def claim(self, worker: str) -> Assignment | None:
        with self._database.writing() as session:
            trial = workflow.claim(session, worker, self._settings.lease_seconds)
            handed = assignment(session, trial, self._settings) if trial else None
        if handed:
            log.info("claimed", trial=handed.trial_id, token=handed.token, worker=worker)
        return handed

    def heartbeat(self, trial: int, beat: Heartbeat) -> Beat:
        with self._database.writing() as session:
            return workflow.heartbeat(session, trial, beat, self._settings.lease_seconds)

    def report(self, trial: int, given: Report) -> Receipt:
        try:
            with self._database.writing() as session:
                earlier = spent(session, trial, given.token)
                receipt = workflow.report(session, trial, given)
                seconds = spent(session, trial, given.token) - earlier
        except LeaseLost:
            self._metrics.stale_reports.inc()
            raise
        log.info("reported", trial=trial, outcome=given.outcome, status=receipt.status)
        if receipt.status == "duplicate":
            self._metrics.duplicate_reports.inc()
        else:
            self._metrics.accepted_reports.labels(given.outcome).inc()
            self._metrics.gpu_seconds.labels(given.outcome).inc(seconds)
        return receipt

    def release(self, trial: int, holding: Holding) -> None:
        with self._database.writing() as session:
            earlier = spent(session, trial, holding.token)
            workflow.release(session, trial, holding)
            seconds = spent(session, trial, holding.token) - earlier
        self._metrics.gpu_seconds.labels("released").inc(seconds)
        self._doorbell.ring()

    def expire(self) -> None:
        """Take overdue trials back."""
        with self._database.reading() as session:
            if not Leases(session).any_expired():
                return
        with self._database.writing() as session:
            late = workflow.expire(session)
            seconds = [spent(session, row.id, row.token) for row in late]
        log.info("expired", studies=sorted({row.study_id for row in late}))
        self._metrics.expired_leases.inc(len(late))
        self._metrics.gpu_seconds.labels("expired").inc(sum(seconds))
        self._doorbell.ring()

    def grant_grace(self) -> None:
        with self._database.writing() as session:
            Leases(session).grant_grace(self._settings.lease_seconds)
