"""Revision: how studies look from outside, in so far as it changes.

What was made of a study may be shown again as long as its revision is the same. Only that says so,
not how long ago it was: who has just written to the database must not be shown what was before, by
this service or by another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import BarRow, EventRow, ObservationRow, StudyRow
from service.studies.repository import Studies, unknown
from service.workers.repository import Workers

Marks: TypeAlias = tuple[Any, ...]

_LAST_EVENT = select(func.max(EventRow.id)).where(EventRow.study_id == StudyRow.id)
_LAST_RESULT = select(func.max(ObservationRow.sequence)).where(
    ObservationRow.study_id == StudyRow.id
)
_BARRED = select(func.sum(BarRow.until)).where(BarRow.study_id == StudyRow.id)

_HEAD = (StudyRow.id, StudyRow.state, StudyRow.stage, StudyRow.error)
_SHOWN = select(
    *_HEAD,
    _LAST_EVENT.correlate(StudyRow).scalar_subquery(),
    _BARRED.correlate(StudyRow).scalar_subquery(),
)
_LEARNED = select(
    StudyRow.state,
    StudyRow.stage,
    StudyRow.extensions,
    _LAST_RESULT.correlate(StudyRow).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Revision:
    """To be compared with others of the same kind, never read.

    Attributes:
        heads: Which studies there are, and what people and their stages made of them.
        rest: What goes on all the time: events, results, workers.
    """

    heads: Marks
    rest: Marks


def revision_of(
    session: Session, study: str, active_seconds: float, scope: Scope = EVERYTHING
) -> Revision:
    """That of what is shown of ``study``.

    Raises:
        NotFound: There is no such study in ``scope``.
    """
    mine = _SHOWN.where(StudyRow.id == study, scope.bounds(StudyRow.project))
    found = session.execute(mine).one_or_none()
    if found is None:
        raise unknown(study)
    return _shown(session, [found], active_seconds)


def revision_of_page(  # what the page is asked for by
    session: Session,
    cursor: str | None,
    limit: int,
    scope: Scope,
    active_seconds: float,
    only: Sequence[Any] = (),
) -> Revision:
    """That of a page of studies, those where ``only`` holds."""
    shown = _SHOWN.where(*only)
    found = session.execute(Studies(session).paged(shown, cursor, limit, scope)).all()
    return _shown(session, found, active_seconds)


def revision_of_results(session: Session, study: str) -> Revision:
    """That of what the model knows of ``study``.

    Raises:
        NotFound: There is no such study.
    """
    found = session.execute(_LEARNED.where(StudyRow.id == study)).one_or_none()
    if found is None:
        raise unknown(study)
    state, stage, extensions, sequence = found
    return _learned(state, stage, extensions, sequence or 0)


def learned_revision(row: StudyRow, sequence: int) -> Revision:
    """That of a model that knows the results up to number ``sequence``."""
    return _learned(row.state, row.stage, row.extensions, sequence)


def _learned(state: str, stage: str, extensions: Any, sequence: int) -> Revision:
    """An extended study comes to stages where it has been before, and knows more there."""
    return Revision((state, stage, len(extensions or ())), (sequence,))


def _shown(session: Session, found: Sequence[Sequence[Any]], active_seconds: float) -> Revision:
    heads = tuple(tuple(row[: len(_HEAD)]) for row in found)
    rest = tuple(tuple(row[len(_HEAD) :]) for row in found)
    return Revision(heads, (*rest, *Workers(session).memories(active_seconds).items()))
