"""Queries on studies, and the marks of what their offers rest on."""

from collections.abc import Sequence
from typing import Any, TypeVarTuple

from sqlalchemy import Select, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from rankspace import Study
from rankspace.errors import Conflict, NotFound
from rankspace.study import ACTIVE, STAGES, StudyState, sources
from service.storage.documents import present_study, submitted_of, write_request
from service.storage.older_form import write_older
from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import StudyRow, WatermarkRow, table_of
from service.trials.repository import changed

Ts = TypeVarTuple("Ts")

_MARKS = table_of(WatermarkRow)
_MARK = insert(_MARKS).values(study_id=bindparam("study"))
_LOCK = select(StudyRow.id).where(StudyRow.id == bindparam("study")).with_for_update(key_share=True)
_TRY_LOCK = _LOCK.with_for_update(key_share=True, skip_locked=True)
_SPACE = select(StudyRow.space).where(StudyRow.id == bindparam("study"))
_PRESENT = select(StudyRow.request, StudyRow.document).where(StudyRow.id == bindparam("study"))
_MOVE = update(_MARKS).where(_MARKS.c.study_id == bindparam("study"))


class Studies:
    """All studies. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, study: str) -> None:
        """Let nobody else write to ``study`` until this transaction ends.

        Whoever writes a study's history does so first: its events are numbered in the order in
        which they become visible, and its results in the order of acceptance. Heartbeats pass by,
        except those that bring back a stop. Locks are taken in the order worker, study, trial,
        attempt, and several trials' by identity.

        Raises:
            NotFound: There is no such study.
        """
        if self._session.execute(_LOCK, {"study": study}).first() is None:
            raise unknown(study)

    def locked(self, study: str) -> StudyRow:
        """Lock ``study`` and return its row as it is from here on, whatever was read before.

        Raises:
            NotFound: There is no such study.
        """
        self.lock(study)
        return self._session.get_one(StudyRow, study, populate_existing=True)

    def try_lock(self, study: str) -> bool:
        """Lock ``study`` unless somebody else is writing to it at this moment."""
        return self._session.execute(_TRY_LOCK, {"study": study}).first() is not None

    def get(self, study: str, scope: Scope = EVERYTHING) -> StudyRow:
        """Return the row.

        Raises:
            NotFound: There is no such study in ``scope``.
        """
        row = self._session.get(StudyRow, study)
        if row is None or not scope.admits(row.project):
            raise unknown(study)
        return row

    def space(self, study: str) -> str:
        """The document of the search space alone."""
        return self._session.scalars(_SPACE, {"study": study}).one()

    def study(self, study: str) -> Study:
        """The study as it is at this moment."""
        request, document = self._session.execute(_PRESENT, {"study": study}).one()
        return present_study(request, document)

    def keep_counts(self, study: str, counts: Any) -> None:
        """Note what its data came to, once: every result is measured on the same."""
        unknown_yet = (StudyRow.id == study) & StudyRow.counts.is_(None)
        noted = update(StudyRow).where(unknown_yet).values(counts=counts)
        self._session.execute(noted.execution_options(synchronize_session=False))

    def add(self, row: StudyRow) -> None:
        self._session.add(row)
        self._session.flush()

    def by_idempotency_key(self, project: str, key: str) -> StudyRow | None:
        mine = (StudyRow.project == project) & (StudyRow.idempotency_key == key)
        return self._session.scalar(select(StudyRow).where(mine))

    def page(
        self, cursor: str | None, limit: int, scope: Scope = EVERYTHING, only: Sequence[Any] = ()
    ) -> Sequence[StudyRow]:
        """List studies, newest first, from after ``cursor`` on, those where ``only`` holds."""
        found = select(StudyRow).where(*only)
        return self._session.scalars(self.paged(found, cursor, limit, scope)).all()

    def paged(
        self, found: Select[*Ts], cursor: str | None, limit: int, scope: Scope = EVERYTHING
    ) -> Select[*Ts]:
        """The same of whatever columns ``found`` selects of them."""
        order = tuple_(StudyRow.created_at, StudyRow.id)
        mine = found.where(scope.bounds(StudyRow.project))
        if cursor is not None:
            last = self.get(cursor, scope)
            mine = mine.where(order < tuple_(last.created_at, last.id))
        return mine.order_by(StudyRow.created_at.desc(), StudyRow.id.desc()).limit(limit)

    def active(self) -> Sequence[str]:
        """Identities of the studies that go on by themselves, oldest first."""
        going = select(StudyRow.id).where(StudyRow.state.in_(ACTIVE))
        return self._session.scalars(going.order_by(StudyRow.created_at, StudyRow.id)).all()

    def projects(self, studies: Sequence[str]) -> dict[str, str]:
        """Whose they are, by identity; those that are gone are left out."""
        mine = select(StudyRow.id, StudyRow.project).where(StudyRow.id.in_(studies))
        return {row.id: row.project for row in self._session.execute(mine)}

    def delete(self, study: str) -> None:
        """Delete a study with all that belongs to it."""
        self._session.execute(delete(StudyRow).where(StudyRow.id == study))

    def mark(self, study: str, results: int) -> None:
        """Note how many finished search trials the study's offers rest on."""
        values = {"study": study, "results": results}
        if not changed(self._session.execute(_MOVE, values)):
            self._session.execute(_MARK, values)


def enter(row: StudyRow, state: StudyState) -> None:
    """Bring a locked study to ``state``; but for ``go_back``, nothing else writes the state of one.

    Raises:
        Conflict: It cannot come there from the state it is in.
    """
    require(row, *sources(state))
    row.state = state.value
    if state in STAGES:
        row.stage = state.value


def change(row: StudyRow, study: Study) -> None:
    """Note what has become of a locked study: search trials, fresh seeds, inputs.

    What was submitted stays as it is.
    """
    keep_request(row)
    row.document = write_older(study)


def keep_request(row: StudyRow) -> None:
    """Keep what was submitted of a locked study that a service of before stored.

    Whatever one of them rewrites from then on, the study loses nothing.
    """
    row.request = row.request or write_request(submitted_of(row))


def go_back(row: StudyRow) -> None:
    """Bring a locked study that was extended back to where it was done, for good or for now.

    Raises:
        Conflict: It is not under way.
    """
    require(row, *sources(StudyState.CANCELLED))
    row.state = row.stage = StudyState.DONE.value
    row.error = None


def require(row: StudyRow, *states: StudyState) -> None:
    """Refuse unless the study is in one of ``states``.

    Raises:
        Conflict: It is in another.
    """
    if row.state not in states:
        possible = ", ".join(states)
        raise Conflict(f"study {row.id} is {row.state}", hint=f"only possible while {possible}")


def used_for_another(row: StudyRow) -> Conflict:
    """The error that says so of the key of a study."""
    return Conflict(
        f"Idempotency-Key {row.idempotency_key!r} was used for another study",
        hint="use a fresh key for every new study",
    )


def unknown(study: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"there is no study {study!r}", hint="GET /v1/studies lists them")
