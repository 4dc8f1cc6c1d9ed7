"""What the performance model of a study knows now, for whoever only looks."""

from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from perfmodel import ModelState
from service.stages.ledger import Ledger
from service.studies.repository import Studies


@dataclass(slots=True)
class _Shelf:
    """One study's ledger, apart from that of the planning; use it under its lock."""

    lock: Lock = field(default_factory=Lock)
    ledger: Ledger | None = None


@lru_cache(maxsize=16)
def _shelf(engine: Any, study: str) -> _Shelf:
    return _Shelf()


def knowledge(session: Session, study: str) -> ModelState:
    """Return the state with every result so far: the same object as long as none was added.

    Raises:
        NotFound: There is no such study.
    """
    Studies(session).get(study)
    shelf = _shelf(session.get_bind(), study)
    with shelf.lock:
        shelf.ledger = shelf.ledger or Ledger.open(session, study)
        shelf.ledger.catch_up(session)
        return shelf.ledger.state
