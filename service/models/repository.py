"""Queries on registered models."""

from collections.abc import Sequence

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from service.tables import ModelRow


class Models:
    """All registered models. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, model: str) -> ModelRow:
        """Return the row.

        Raises:
            NotFound: There is no such model.
        """
        row = self._session.get(ModelRow, model)
        if row is None:
            raise NotFound(f"there is no model {model!r}", hint="GET /v1/models lists them")
        return row

    def by_fingerprint(self, fingerprint: str) -> ModelRow | None:
        return self._session.scalar(select(ModelRow).where(ModelRow.fingerprint == fingerprint))

    def named(self, name: str) -> ModelRow | None:
        """Find by identity or by path; of several at one path the latest registered."""
        found = select(ModelRow).where(or_(ModelRow.id == name, ModelRow.path == name))
        return self._session.scalar(found.order_by(ModelRow.created_at.desc()).limit(1))

    def paths(self) -> Sequence[str]:
        return self._session.scalars(select(ModelRow.path).order_by(ModelRow.path)).all()

    def add(self, row: ModelRow) -> None:
        self._session.add(row)
        self._session.flush()

    def page(self, cursor: str | None, limit: int) -> Sequence[ModelRow]:
        """List models, newest first, from after ``cursor`` on."""
        order = tuple_(ModelRow.created_at, ModelRow.id)
        found = select(ModelRow).order_by(ModelRow.created_at.desc(), ModelRow.id.desc())
        if cursor is not None:
            last = self.get(cursor)
            found = found.where(order < tuple_(last.created_at, last.id))
        return self._session.scalars(found.limit(limit)).all()
