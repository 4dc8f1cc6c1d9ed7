"""Events: the append-only history of a study."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from rankspace import Purpose
from rankspace.wire import encode
from service.storage.clock import timestamp
from service.storage.scope import Scope
from service.storage.tables import EventRow, StudyRow, TrialRow, table_of


@dataclass(frozen=True, slots=True)
class Event:
    """Attributes: see ``docs/rest.md``; ``content`` depends on ``kind``."""

    id: int
    kind: str
    trial: int | None
    at: str | None
    content: Any


@dataclass(frozen=True, slots=True)
class Latest:
    """The last event of a study."""

    study: str
    project: str
    event: int


_RECORD = insert(table_of(EventRow))


class Events:
    """The only place that touches the events table."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, kind: str, study: str, trial: int | None = None, /, **content: Any) -> None:
        values = {"kind": kind, "study_id": study, "trial_id": trial, "content": encode(content)}
        self._session.execute(_RECORD, values)

    def holds(self, kind: str, study: str, trial: int, token: int) -> bool:
        """Whether the history says ``kind`` of this claim of a trial."""
        mine = (EventRow.study_id == study) & (EventRow.trial_id == trial)
        found = self._session.scalars(select(EventRow.content).where(mine, EventRow.kind == kind))
        return any(content["token"] == token for content in found)

    def contents(self, kind: str, study: str) -> list[Any]:
        """Of all events of one ``kind``, oldest first."""
        mine = (EventRow.study_id == study) & (EventRow.kind == kind)
        return [*self._session.scalars(select(EventRow.content).where(mine).order_by(EventRow.id))]

    def queued_by_people(self, study: str) -> list[tuple[int, Any]]:
        """People's own candidates: the trials, and what the history says of them."""
        mine = (TrialRow.study_id == study) & (TrialRow.purpose == Purpose.SEARCH)
        found = (
            select(TrialRow.id, EventRow.content)
            .join(EventRow, (EventRow.study_id == study) & (EventRow.trial_id == TrialRow.id))
            .where(mine, TrialRow.priority > 0, EventRow.kind == "queued")
        )
        return [(trial, content) for trial, content in self._session.execute(found)]

    def after(self, study: str, cursor: int, limit: int) -> list[Event]:
        """List a study's events, oldest first."""
        mine = select(EventRow).where(EventRow.study_id == study, EventRow.id > cursor)
        return [
            _event(row) for row in self._session.scalars(mine.order_by(EventRow.id).limit(limit))
        ]

    def newest(self, study: str, before: int, limit: int) -> list[Event]:
        """The last ``limit`` events before number ``before``, or of all where that is 0."""
        mine = select(EventRow).where(EventRow.study_id == study)
        mine = mine.where(EventRow.id < before) if before else mine
        rows = self._session.scalars(mine.order_by(EventRow.id.desc()).limit(limit))
        return [_event(row) for row in rows]

    def last(self, study: str | None = None) -> int:
        """The number of a study's last event, or of the last of all; 0 before the first."""
        mine = select(func.max(EventRow.id))
        mine = mine if study is None else mine.where(EventRow.study_id == study)
        return self._session.scalar(mine) or 0

    def last_in(self, scope: Scope) -> int:
        """The same of the studies in ``scope``: the others' number is their affair."""
        if scope.is_everything:
            return self.last()
        mine = select(func.max(EventRow.id)).where(EventRow.study_id == StudyRow.id)
        each = select(mine.scalar_subquery().label("event")).where(scope.bounds(StudyRow.project))
        return self._session.scalar(select(func.max(each.subquery().c.event))) or 0

    def latest(self, floor: int) -> list[Latest]:
        """List the studies something happened to after event ``floor``."""
        of = (EventRow.study_id, StudyRow.project)
        mine = select(*of, func.max(EventRow.id)).join(StudyRow, StudyRow.id == EventRow.study_id)
        recent = mine.where(EventRow.id > floor).group_by(*of)
        return [Latest(*row) for row in self._session.execute(recent)]


def _event(row: EventRow) -> Event:
    return Event(row.id, row.kind, row.trial_id, timestamp(row.created_at), row.content)
