"""The backlog: what the database says of trials and workers, and as gauges when it is scraped."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState
from service.storage.clock import Now
from service.storage.db import Database
from service.storage.tables import StudyRow, TrialRow
from service.trials.repository import IS_CLAIMABLE
from service.workers.repository import Workers

log = structlog.get_logger(__name__)

FRESH_SECONDS = 2.0
"""How long one reading serves every scrape, so that scrapes cannot hammer the database."""


_STATES = select(TrialRow.state, func.count()).group_by(TrialRow.state)
_WAITING = (
    select(TrialRow.purpose, func.count(), Now() - func.min(TrialRow.created_at))
    .join(StudyRow)
    .where(IS_CLAIMABLE)
    .group_by(TrialRow.purpose)
)

STILL_ASKS_SECONDS = 600.0
"""A worker in quarantine asks every minute; one that was switched off is nobody's trouble."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Trials and workers at one moment.

    Attributes:
        trials: Number of trials by state.
        queued: Number of trials a worker could claim, by purpose; those of a paused study
            wait for a person and do not count.
        oldest_seconds: How long the oldest of them has existed; 0 when there is none.
        workers: Workers seen lately that get trials.
        quarantined: Workers that still ask and get none.
    """

    trials: Mapping[str, int]
    queued: Mapping[str, int]
    oldest_seconds: float
    workers: int
    quarantined: int


def read_backlog(session: Session, active_seconds: float) -> Backlog:
    """Read the backlog; a worker counts for ``active_seconds`` after its last sign of life."""
    waiting = session.execute(_WAITING).all()
    return Backlog(
        trials=dict(session.execute(_STATES).all()),
        queued={purpose: count for purpose, count, _ in waiting},
        oldest_seconds=max((age for _, _, age in waiting), default=0.0),
        workers=Workers(session).active(active_seconds),
        quarantined=Workers(session).quarantined(STILL_ASKS_SECONDS),
    )


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
