"""Backlog: what the database says of trials and workers right now, whoever asks it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rankspace.trial import TrialState
from service.clock import Now
from service.studies.repository import ACTIVE
from service.tables import StudyRow, TrialRow
from service.workers.repository import Workers

_STATES = select(TrialRow.state, func.count()).group_by(TrialRow.state)
_WAITING = (
    select(TrialRow.purpose, func.count(), Now() - func.min(TrialRow.created_at))
    .join(StudyRow)
    .where(TrialRow.state == TrialState.QUEUED.value, StudyRow.state.in_(ACTIVE))
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
