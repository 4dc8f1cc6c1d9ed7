"""Queries on studies and on their learned model states."""

from collections.abc import Sequence

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from service.leases.repository import ACTIVE
from service.tables import ModelStateRow, StudyRow


class Studies:
    """All studies. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, study: str) -> StudyRow:
        """Return the row.

        Raises:
            NotFound: There is no such study.
        """
        row = self._session.get(StudyRow, study)
        if row is None:
            raise NotFound(f"there is no study {study!r}", hint="GET /v1/studies lists them")
        return row

    def add(self, row: StudyRow) -> None:
        self._session.add(row)
        self._session.flush()

    def by_idempotency_key(self, key: str) -> StudyRow | None:
        return self._session.scalar(select(StudyRow).where(StudyRow.idempotency_key == key))

    def page(self, cursor: str | None, limit: int) -> Sequence[StudyRow]:
        """List studies, newest first, from after ``cursor`` on."""
        order = tuple_(StudyRow.created_at, StudyRow.id)
        found = select(StudyRow).order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
        if cursor is not None:
            last = self.get(cursor)
            found = found.where(order < tuple_(last.created_at, last.id))
        return self._session.scalars(found.limit(limit)).all()

    def active(self) -> Sequence[str]:
        """Identities of the studies that go on by themselves, oldest first."""
        going = select(StudyRow.id).where(StudyRow.state.in_(ACTIVE))
        return self._session.scalars(going.order_by(StudyRow.created_at, StudyRow.id)).all()

    def delete(self, study: str) -> None:
        """Delete a study with all that belongs to it."""
        self._session.execute(delete(StudyRow).where(StudyRow.id == study))

    def knowledge(self, study: str) -> ModelStateRow | None:
        return self._session.get(ModelStateRow, study)

    def remember(self, study: str, watermark: int, blob: bytes) -> None:
        self._session.merge(ModelStateRow(study_id=study, watermark=watermark, blob=blob))
