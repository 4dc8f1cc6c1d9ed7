"""What a claim has cost so far."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.tables import AttemptRow


def spent(session: Session, trial: int, token: int) -> float:
    """How many seconds the claim (trial, token) held the trial, 0 until it has ended.

    A claim can end twice: its lease expires, and its report comes before anybody else claims.
    """
    mine = (AttemptRow.trial_id == trial) & (AttemptRow.token == token)
    return session.scalar(select(AttemptRow.seconds).where(mine)) or 0.0
