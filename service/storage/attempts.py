"""Attempts: the one form in which the end of a claim is written down, whoever ends it."""

from sqlalchemy import ColumnElement, bindparam, case, update
from sqlalchemy.orm import Session

from service.storage.clock import Now
from service.storage.tables import AttemptRow, table_of

_ATTEMPTS = table_of(AttemptRow)
_HELD = Now() - _ATTEMPTS.c.started_at
_SPENT = case((_HELD > 0.0, _HELD), else_=0.0)  # the clock may have been set back since
_END = update(_ATTEMPTS).values(outcome=bindparam("ended"), ended_at=Now(), seconds=_SPENT)
_END_ONE = _END.where(
    _ATTEMPTS.c.trial_id == bindparam("trial"), _ATTEMPTS.c.token == bindparam("held")
).values(error=bindparam("said"))


def end_attempts(session: Session, outcome: str, where: ColumnElement[bool]) -> None:
    """End the claims ``where`` that holds, now."""
    session.execute(_END.where(where), {"ended": outcome})


def end_attempt(session: Session, trial: int, token: int, outcome: str, error: str | None) -> None:
    """End one claim, now; ``error`` is why, where it failed or came to nothing."""
    given = {"trial": trial, "held": token, "ended": outcome, "said": error}
    session.execute(_END_ONE, given)
