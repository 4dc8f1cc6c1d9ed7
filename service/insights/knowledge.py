"""What the performance model of a study knows now, for whoever only looks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from perfmodel import ModelState
from rankspace.study import ACTIVE
from service.planning.study_results import ModelSnapshot, StudyResults
from service.storage.tables import ObservationRow
from service.studies.repository import Studies

Planned: TypeAlias = Callable[[str], ModelSnapshot | None]
"""What the planning of this process knows of a study; None where it does not plan it."""

PATIENCE_SECONDS, LOOK_SECONDS = 2.0, 0.01
"""How long the planning may take to learn the results there are."""

FIRST_SECONDS = 30.0
"""And those of before its start. To learn them here as well would take as long, and keep twice."""


def nobody(_study: str) -> None:
    """No planning in this process."""


@dataclass(slots=True)
class _Opened:
    """One study's results where nobody plans it; use it under its lock."""

    lock: Lock = field(default_factory=Lock)
    results: StudyResults | None = None


@lru_cache(maxsize=4)  # of long studies, some hundred megabytes each
def _opened(engine: Any, study: str) -> _Opened:
    return _Opened()


def knowledge(session: Session, study: str, planned: Planned = nobody) -> ModelState:
    """Return the state with every result so far: the same object as long as none was added.

    A state with thousands of results is large and slow to make, so that of the planning is used
    where there is one; states do not change, so looking at it disturbs nobody.

    Raises:
        NotFound: There is no such study.
    """
    is_active = Studies(session).get(study).state in ACTIVE
    known = _caught_up(session, study, planned, is_active=is_active and planned is not nobody)
    opened = _opened(session.get_bind(), study)
    with opened.lock:
        if known is not None:
            opened.results = None
            return known.state
        opened.results = opened.results or StudyResults.open(session, study)
        opened.results.catch_up(session)
        return opened.results.state


def _caught_up(
    session: Session, study: str, planned: Planned, *, is_active: bool
) -> ModelSnapshot | None:
    """What the planning knows once it has learned what this session sees, or soon would have.

    ``is_active``: the planning comes to the study by itself, if it has not yet.
    """
    mine = select(func.max(ObservationRow.sequence)).where(ObservationRow.study_id == study)
    there = int(session.scalar(mine) or 0)
    begin = time.monotonic()
    while _is_behind(known := planned(study), there, is_active=is_active):
        if time.monotonic() - begin >= (PATIENCE_SECONDS if known else FIRST_SECONDS):
            break
        time.sleep(LOOK_SECONDS)
    return known


def _is_behind(known: ModelSnapshot | None, there: int, *, is_active: bool) -> bool:
    return is_active and there > 0 if known is None else known.sequence < there
