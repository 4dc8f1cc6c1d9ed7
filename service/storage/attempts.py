"""Attempts: the one form in which the end of a claim is written down, whoever ends it."""

from typing import Any

from sqlalchemy import ColumnElement, case, update
from sqlalchemy.orm import Session

from service.storage.clock import Now
from service.storage.tables import AttemptRow


def end_attempts(session: Session, outcome: str, where: ColumnElement[bool], **also: Any) -> None:
    """End the claims ``where`` that holds, now; ``also`` are further columns."""
    held = Now() - AttemptRow.started_at
    spent = case((held > 0.0, held), else_=0.0)  # the clock may have been set back since
    ended = update(AttemptRow).where(where)
    ended = ended.values(outcome=outcome, ended_at=Now(), seconds=spent, **also)
    session.execute(ended.execution_options(synchronize_session=False))
