"""Fits: what the models of long studies had learned, so that a restart need not learn it anew."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.storage.tables import FitRow


class Fits:
    """One per study at most, derived from its results: a shortcut, never the truth. Never commits.

    They are no part of a backup, and a damaged one is as good as none.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, study: str) -> bytes | None:
        return self._session.scalar(select(FitRow.content).where(FitRow.study_id == study))

    def keep(self, study: str, content: bytes) -> None:
        """Store the newest; the study is locked."""
        row = self._session.get(FitRow, study)
        if row is None:
            self._session.add(FitRow(study_id=study, content=content))
        else:
            row.content = content
