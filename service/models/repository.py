"""Queries on registered models."""

from collections.abc import Iterator, Sequence

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import ModelRow

PAGE_CHARACTERS = 2 << 20
"""Of all descriptions on a page: those of models with thousands of matrices have megabytes each."""


class Models:
    """All registered models. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, model: str, scope: Scope = EVERYTHING) -> ModelRow:
        """Return the row.

        Raises:
            NotFound: There is no such model in ``scope``.
        """
        row = self._session.get(ModelRow, model)
        if row is None or not scope.admits(row.project):
            raise NotFound(f"there is no model {model!r}", hint="GET /v1/models lists them")
        return row

    def by_fingerprint(self, project: str, fingerprint: str) -> ModelRow | None:
        mine = (ModelRow.project == project) & (ModelRow.fingerprint == fingerprint)
        return self._session.scalar(select(ModelRow).where(mine))

    def named(self, project: str, name: str) -> ModelRow | None:
        """Find by identity or by path; of several at one path the latest registered."""
        called = or_(ModelRow.id == name, ModelRow.path == name)
        found = select(ModelRow).where(ModelRow.project == project, called)
        return self._session.scalar(found.order_by(ModelRow.created_at.desc()).limit(1))

    def paths(self, project: str) -> Sequence[str]:
        mine = select(ModelRow.path).where(ModelRow.project == project)
        return self._session.scalars(mine.order_by(ModelRow.path)).all()

    def add(self, row: ModelRow) -> None:
        self._session.add(row)
        self._session.flush()

    def identities(
        self, cursor: str | None, limit: int, scope: Scope = EVERYTHING
    ) -> Sequence[str]:
        """List models, newest first, from after ``cursor`` on."""
        order = tuple_(ModelRow.created_at, ModelRow.id)
        mine = select(ModelRow.id).where(scope.bounds(ModelRow.project))
        found = mine.order_by(ModelRow.created_at.desc(), ModelRow.id.desc())
        if cursor is not None:
            last = self.get(cursor, scope)
            found = found.where(order < tuple_(last.created_at, last.id))
        return self._session.scalars(found.limit(limit)).all()

    def fitting(self, models: Sequence[str]) -> Iterator[ModelRow]:
        """Yield the first of ``models``, at least one: no more than a page should hold."""
        characters = 0
        for model in models:
            row = self._session.get_one(ModelRow, model)
            characters += len(row.document)
            if characters > PAGE_CHARACTERS and model != models[0]:
                return
            yield row
