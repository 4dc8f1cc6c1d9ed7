"""Housekeeping: a thread that expires leases and catches up on whatever a crash left undone."""

import concurrent.futures
import math
import threading
import time

import structlog

from service.allocation import give_back
from service.leases.lease_service import LeaseService
from service.leases.uploads import ArtifactTransfer
from service.planning.queue import PATIENCE_SECONDS, PlanningQueue
from service.storage.db import Database
from service.studies.requests import keep_requests

log = structlog.get_logger(__name__)

LATE_INTERVALS, LATE_SECONDS = 10, 30.0
"""Housekeeping is late when its last success is older than both."""


CATCH_UP_SECONDS = 2.0
"""How often the database is asked for what another process did, or died of."""

TIDY_SECONDS = 30.0
"""How often memory that is free is given back, files nobody will need are deleted, and what was
submitted is kept of studies that a service of before stored."""


class Housekeeping:
    """Runs once before the service answers, then every ``interval`` seconds."""

    def __init__(
        self,
        leases: LeaseService,
        planning: PlanningQueue,
        artifacts: ArtifactTransfer,
        database: Database,
        interval: float,
    ) -> None:
        self._leases = leases
        self._artifacts = artifacts
        self._planning = planning
        self._database = database
        self._interval = interval
        self._succeeded_at = time.monotonic()
        self._caught_up_at = -math.inf
        self._tidied_at = time.monotonic()
        self._stopping = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)

    def start(self) -> None:
        keep_requests(self._database)
        self.sweep(PATIENCE_SECONDS)  # claims wait for the rest
        self._planning.warm_all()
        self._succeeded_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:  # it may never have got so far
            self._thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def age(self) -> float:
        """Seconds since the last turn that succeeded."""
        return time.monotonic() - self._succeeded_at

    @property
    def is_late(self) -> bool:
        return self.age > max(LATE_INTERVALS * self._interval, LATE_SECONDS)

    def sweep(self, patience: float | None = None) -> None:
        """Expire what is overdue and wait until every study has gone on, or ``patience`` is out."""
        self._leases.sweep()
        concurrent.futures.wait(self._planning.ask_all(), timeout=patience)

    def _catch_up(self) -> None:
        """Who commits a result asks for planning as well; this is for those who died in between."""
        if time.monotonic() - self._caught_up_at >= CATCH_UP_SECONDS:
            self._planning.ask_news()
            self._caught_up_at = time.monotonic()

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at >= TIDY_SECONDS:
            give_back()
            self._artifacts.tidy()
            keep_requests(self._database)
            self._tidied_at = time.monotonic()

    def _work(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self._leases.sweep()
                self._catch_up()
                self._tidy()
                self._succeeded_at = time.monotonic()
                self._problem = ""
            except Exception as error:  # noqa: BLE001  # whatever it is, it must go on
                self._tell(error)

    def _tell(self, error: Exception) -> None:
        """With its trace when it is another one than the last time."""
        problem = f"{type(error).__name__}: {error}"
        trace = error if problem != self._problem else None
        log.error("housekeeping has to wait", problem=problem, exc_info=trace)
        self._problem = problem
