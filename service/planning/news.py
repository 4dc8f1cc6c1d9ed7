"""News: for which studies there may be something to plan, seen in one look at the database."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from rankspace import TrialState
from rankspace.study import ACTIVE
from service.planning.stranding import WAITS
from service.storage.tables import ObservationRow, StudyRow, TrialRow, WatermarkRow

Outline: TypeAlias = tuple[Any, ...]
"""All that the next step of a study depends on, so far that it is another one after any change."""

_LAST = (
    select(func.max(ObservationRow.sequence))
    .where(ObservationRow.study_id == StudyRow.id)
    .correlate(StudyRow)
    .scalar_subquery()
)

_HEADS = (
    select(StudyRow.id, StudyRow.state, StudyRow.retries, WatermarkRow.results, _LAST)
    .outerjoin(WatermarkRow, WatermarkRow.study_id == StudyRow.id)
    .where(StudyRow.state.in_(ACTIVE))
    .order_by(StudyRow.created_at, StudyRow.id)
)

_RUNS = case((TrialRow.state == TrialState.RUNNING.value, 1), else_=0)

_OPEN = (
    select(
        TrialRow.study_id,
        func.count(),
        func.sum(TrialRow.id),
        func.sum(TrialRow.token),
        func.sum(_RUNS),
        func.sum(WAITS),
    )
    .where(TrialRow.state.in_((TrialState.QUEUED.value, TrialState.RUNNING.value)))
    .group_by(TrialRow.study_id)
)


class News:
    """Remembers how studies looked when they were last planned; for one process, any thread."""

    def __init__(self) -> None:
        self._known: Mapping[str, Outline] = {}

    def of(self, outlines: Mapping[str, Outline]) -> Sequence[str]:
        """Return the studies that look otherwise than the last time, and remember all of them."""
        known, self._known = self._known, dict(outlines)
        return [study for study, outline in outlines.items() if known.get(study) != outline]

    def forget(self, study: str) -> None:
        """Have ``study`` be news again: its planning came to nothing."""
        self._known = {name: seen for name, seen in self._known.items() if name != study}


def outlines(session: Session, workers: int) -> Mapping[str, Outline]:
    """How the studies look that go on by themselves, oldest first.

    ``workers``: how many count for the offers of each.
    """
    trials = {study: tuple(map(int, counts)) for study, *counts in session.execute(_OPEN)}
    return {study: (workers, *head, trials.get(study)) for study, *head in session.execute(_HEADS)}
