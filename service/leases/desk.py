"""The lease desk: each call is one transaction."""

import structlog

from rankspace import Assignment
from service.db import Database
from service.doorbell import Doorbell
from service.leases import workflow
from service.leases.assignment import assignment
from service.leases.repository import Leases
from service.leases.schemas import Beat, Heartbeat, Holding, Receipt, Report
from service.scope import ALL
from service.settings import Settings

log = structlog.get_logger(__name__)


class LeaseDesk:
    """Hands out trials and takes their results back."""

    def __init__(self, database: Database, doorbell: Doorbell, settings: Settings) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings

    def touch(self, worker: str) -> None:
        """Note a sign of life of a worker that found nothing to do."""
        with self._database.writing() as session:
            Leases(session).touch(worker)

    def has_work(self, worker: str, project: str = ALL) -> bool:
        """Look without a write transaction, for the many polls that find nothing."""
        with self._database.reading() as session:
            return Leases(session).has_work(worker, project)

    def claim(self, worker: str, project: str = ALL) -> Assignment | None:
        with self._database.writing() as session:
            trial = workflow.claim(session, worker, self._settings.lease_seconds, project)
            handed = assignment(session, trial, self._settings) if trial else None
        if handed:
            log.info("claimed", trial=handed.trial_id, token=handed.token, worker=worker)
        return handed

    def heartbeat(self, trial: int, beat: Heartbeat) -> Beat:
        with self._database.writing() as session:
            return workflow.heartbeat(session, trial, beat, self._settings.lease_seconds)

    def report(self, trial: int, given: Report) -> Receipt:
        with self._database.writing() as session:
            receipt = workflow.report(session, trial, given)
        log.info("reported", trial=trial, outcome=given.outcome, status=receipt.status)
        return receipt

    def release(self, trial: int, holding: Holding) -> None:
        with self._database.writing() as session:
            workflow.release(session, trial, holding)
        self._doorbell.ring()

    def expire(self) -> None:
        """Take overdue trials back."""
        with self._database.reading() as session:
            if not Leases(session).any_expired():
                return
        with self._database.writing() as session:
            studies = workflow.expire(session)
        log.info("expired", studies=sorted(studies))
        self._doorbell.ring()

    def grant_grace(self) -> None:
        with self._database.writing() as session:
            Leases(session).grant_grace(self._settings.lease_seconds)
