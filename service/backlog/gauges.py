"""BacklogGauges: the backlog as gauges, read from the database when they are scraped."""

import threading
import time
from collections.abc import Iterator, Mapping

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from rankspace import Purpose, TrialState
from service.backlog.backlog import Backlog, read_backlog
from service.db import Database

log = structlog.get_logger(__name__)

FRESH_SECONDS = 2.0
"""How long one reading serves every scrape, so that scrapes cannot hammer the database."""


class BacklogGauges(Collector):
    """Safe to scrape from several threads; without the database there are no such gauges."""

    def __init__(self, database: Database, active_seconds: float) -> None:
        self._database = database
        self._active_seconds = active_seconds
        self._lock = threading.Lock()
        self._read: tuple[float, Backlog] | None = None

    def collect(self) -> Iterator[Metric]:
        try:
            backlog = self._backlog()
        except SQLAlchemyError as error:
            log.warning("no gauges without the database", error=str(error))
            return
        yield _by("trials_total", "Trials by state.", "state", TrialState, backlog.trials)
        yield _by("queue_depth", "Trials a worker could claim.", "purpose", Purpose, backlog.queued)
        yield _gauge("oldest_queued_seconds", "Age of the oldest of them.", backlog.oldest_seconds)
        yield _gauge("workers_active", "Workers seen lately.", backlog.workers)
        yield _gauge("workers_quarantined", "Workers that get no trials.", backlog.quarantined)

    def _backlog(self) -> Backlog:
        with self._lock:
            if self._read is None or time.monotonic() - self._read[0] > FRESH_SECONDS:
                with self._database.reading() as session:
                    backlog = read_backlog(session, self._active_seconds)
                self._read = (time.monotonic(), backlog)
            return self._read[1]


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rankadaptor_{name}", meaning, value=value)


def _by(
    name: str,
    meaning: str,
    label: str,
    kinds: type[Purpose] | type[TrialState],
    counts: Mapping[str, int],
) -> GaugeMetricFamily:
    """One gauge per kind, 0 included: an alert cannot tell a missing series from a broken one."""
    family = GaugeMetricFamily(f"rankadaptor_{name}", meaning, labels=[label])
    for kind in kinds:
        family.add_metric([kind.value], counts.get(kind.value, 0))
    return family
