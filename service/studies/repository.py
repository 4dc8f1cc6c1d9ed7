"""Queries on studies, and the marks of what their offers rest on."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from service.leases.repository import ACTIVE
from service.scope import EVERYTHING, Scope
from service.tables import StudyRow, WatermarkRow, table_of
from service.trials.repository import changed

_MARKS = table_of(WatermarkRow)
_MARK = insert(_MARKS).values(study_id=bindparam("study"))
_MOVE = update(_MARKS).where(_MARKS.c.study_id == bindparam("study"))


class Studies:
    """All studies. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, study: str, scope: Scope = EVERYTHING) -> StudyRow:
        """Return the row.

        Raises:
            NotFound: There is no such study in ``scope``.
        """
        row = self._session.get(StudyRow, study)
        if row is None or not scope.admits(row.project):
            raise NotFound(f"there is no study {study!r}", hint="GET /v1/studies lists them")
        return row

    def add(self, row: StudyRow) -> None:
        self._session.add(row)
        self._session.flush()

    def by_idempotency_key(self, project: str, key: str) -> StudyRow | None:
        mine = (StudyRow.project == project) & (StudyRow.idempotency_key == key)
        return self._session.scalar(select(StudyRow).where(mine))

    def page(self, cursor: str | None, limit: int, scope: Scope = EVERYTHING) -> Sequence[StudyRow]:
        """List studies, newest first, from after ``cursor`` on."""
        order = tuple_(StudyRow.created_at, StudyRow.id)
        mine = select(StudyRow).where(scope.bounds(StudyRow.project))
        found = mine.order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
        if cursor is not None:
            last = self.get(cursor, scope)
            found = found.where(order < tuple_(last.created_at, last.id))
        return self._session.scalars(found.limit(limit)).all()

    def active(self) -> Sequence[str]:
        """Identities of the studies that go on by themselves, oldest first."""
        going = select(StudyRow.id).where(StudyRow.state.in_(ACTIVE))
        return self._session.scalars(going.order_by(StudyRow.created_at, StudyRow.id)).all()

    def delete(self, study: str) -> None:
        """Delete a study with all that belongs to it."""
        self._session.execute(delete(StudyRow).where(StudyRow.id == study))

    def mark(self, study: str, results: int) -> None:
        """Note how many finished search trials the study's offers rest on."""
        values = {"study": study, "results": results}
        if not changed(self._session.execute(_MOVE, values)):
            self._session.execute(_MARK, values)
