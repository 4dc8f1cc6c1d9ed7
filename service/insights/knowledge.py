"""What the performance model of a study knows now, for whoever only looks."""

from sqlalchemy.orm import Session

from perfmodel import ModelState
from service.stages.learning import stored_state
from service.studies.repository import Studies


def knowledge(session: Session, study: str) -> ModelState | None:
    """Return the stored state; None before the first.

    Raises:
        NotFound: There is no such study.
    """
    Studies(session).get(study)
    stored = Studies(session).knowledge(study)
    return stored_state(stored.blob) if stored else None
