"""Events: the append-only history of a study."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from rankspace.wire import encode
from service.clock import timestamp
from service.tables import EventRow, table_of


@dataclass(frozen=True, slots=True)
class Event:
    """Attributes: see ``docs/rest.md``; ``content`` depends on ``kind``."""

    id: int
    kind: str
    trial: int | None
    at: str | None
    content: Any


_RECORD = insert(table_of(EventRow))


class Events:
    """The only place that touches the events table."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, kind: str, study: str, trial: int | None = None, /, **content: Any) -> None:
        values = {"kind": kind, "study_id": study, "trial_id": trial, "content": encode(content)}
        self._session.execute(_RECORD, values)

    def after(self, study: str, cursor: int, limit: int) -> list[Event]:
        """List a study's events, oldest first."""
        mine = select(EventRow).where(EventRow.study_id == study, EventRow.id > cursor)
        rows = self._session.scalars(mine.order_by(EventRow.id).limit(limit))
        return [
            Event(row.id, row.kind, row.trial_id, timestamp(row.created_at), row.content)
            for row in rows
        ]
