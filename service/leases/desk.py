"""The lease desk: each call is one transaction."""

import math
import time

import structlog

from rankspace import Assignment
from rankspace.capabilities import Capabilities
from service.db import Database
from service.doorbell import Doorbell
from service.leases import workflow
from service.leases.assignment import assignment
from service.leases.pulse import beat
from service.leases.repository import Leases
from service.leases.schemas import Beat, Heartbeat, Holding, Receipt, Report
from service.settings import Settings
from service.workers.repository import Workers

BEATS_PER_LEASE, ABSENCES_PER_LEASE = 24, 8
"""How often a lease's time holds a pulse, and an absence after which holders get a full lease."""

TURNS = 3
"""Turns of the steward that may fail to come before that is an absence."""

log = structlog.get_logger(__name__)


class LeaseDesk:
    """Hands out trials and takes their results back."""

    def __init__(self, database: Database, doorbell: Doorbell, settings: Settings) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._beaten = -math.inf

    def touch(self, worker: str) -> None:
        """Note a sign of life of a worker that found nothing to do."""
        with self._database.writing() as session:
            Workers(session).touch(worker)

    def has_work(self, worker: str, able: Capabilities | None = None) -> bool:
        """Look without a write transaction, for the many polls that find nothing."""
        with self._database.reading() as session:
            return Leases(session).has_work(worker, able)

    def claim(self, worker: str, able: Capabilities | None = None) -> Assignment | None:
        with self._database.writing() as session:
            trial = workflow.claim(session, worker, able, self._settings.lease_seconds)
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

    def tend(self) -> None:
        """Take overdue trials back, unless nobody was there to renew them."""
        self._beat()
        with self._database.reading() as session:
            studies = Leases(session).overdue()
        taken = {study: self._expire(study) for study in studies}
        if any(taken.values()):
            log.info("expired", **{study: count for study, count in taken.items() if count})
            self._doorbell.ring()

    def _between(self, since: float) -> float:
        """Seconds that lie between two turns of the steward anyway; none before the first."""
        return TURNS * self._settings.steward_seconds if math.isfinite(since) else 0.0

    def _expire(self, study: str) -> int:
        with self._database.writing() as session:
            return workflow.expire(session, study)

    def _beat(self) -> None:
        """Note now and then that somebody is there; after an absence give every holder a lease."""
        lease = self._settings.lease_seconds
        since = time.monotonic() - self._beaten
        if since < lease / BEATS_PER_LEASE:
            return
        with self._database.writing() as session:
            away = beat(session)
            if away > max(lease / ABSENCES_PER_LEASE, self._between(since)):
                Leases(session).grant_grace(lease)
                log.info("leases renewed", absent_seconds=round(away, 1))
        self._beaten = time.monotonic()
