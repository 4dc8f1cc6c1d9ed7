"""Queries on trials, except those of the lease protocol."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CursorResult, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector, TrialState
from rankspace.study import ACTIVE
from rankspace.wire import encode
from service.storage.attempts import end_attempts
from service.storage.clock import Now
from service.storage.scope import Scope
from service.storage.tables import AttemptRow, ObservationRow, StudyRow, TrialRow, table_of
from service.trials.planned import PlannedTrial, Run

IS_CLAIMABLE = (TrialRow.state == TrialState.QUEUED.value) & StudyRow.state.in_(ACTIVE)
"""Where studies are joined: a worker that meets its needs may have the trial now."""

_LAST = select(func.max(ObservationRow.sequence)).where(
    ObservationRow.study_id == bindparam("study")
)
_IS_IN = TrialRow.state != TrialState.CANCELLED.value
_ACCEPT = insert(table_of(ObservationRow))
_QUEUE = insert(table_of(TrialRow)).returning(table_of(TrialRow).c.id)
_HAS_SCORE = (
    select(ObservationRow.trial_id)
    .where(ObservationRow.study_id == bindparam("study"), ObservationRow.score.is_not(None))
    .limit(1)
)
_FIRST_SCORE = (
    select(ObservationRow.score)
    .join(TrialRow, TrialRow.id == ObservationRow.trial_id)
    .where(
        TrialRow.study_id == bindparam("study"),
        TrialRow.purpose == Purpose.SEARCH.value,
        TrialRow.rank_vector == bindparam("vector"),
        ObservationRow.score.is_not(None),
    )
    .order_by(TrialRow.id)
    .limit(1)
)
_RENEW = update(table_of(TrialRow)).where(TrialRow.id == bindparam("trial"), TrialRow.is_offer)


class Trials:
    """The trials of all studies. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, trial: int) -> TrialRow | None:
        return self._session.get(TrialRow, trial)

    def is_within(self, trial: int, scope: Scope) -> bool:
        """Whether there is such a trial in a study of ``scope``."""
        found = select(TrialRow.id).join(StudyRow, StudyRow.id == TrialRow.study_id)
        seen = found.where(TrialRow.id == trial, scope.bounds(StudyRow.project))
        return self._session.scalar(seen) is not None

    def queue(self, study: str, planned: PlannedTrial) -> int:
        values = {**_columns(planned), "study_id": study, "state": TrialState.QUEUED.value}
        return int(self._session.execute(_QUEUE, values).scalar_one())

    def renew_offer(self, trial: int, planned: PlannedTrial) -> None:
        """Put another candidate into an offer; one that was claimed meanwhile stays as it is."""
        self._session.execute(_RENEW, {**_columns(planned), "trial": trial})

    def withdraw(self, trials: Sequence[int]) -> tuple[int, ...]:
        """Delete offers and idle controls; what was ever claimed or a person asked for stays."""
        idle = (TrialRow.state == TrialState.QUEUED) & (TrialRow.token == 0)
        control = idle & (TrialRow.purpose == Purpose.CONTROL)
        deleted = self._session.scalars(
            delete(TrialRow)
            .where(TrialRow.id.in_(trials), or_(TrialRow.is_offer, control))
            .returning(TrialRow.id)
            .execution_options(synchronize_session=False)
        )
        return tuple(sorted(deleted))

    def cancel_queued(self, trials: Sequence[int]) -> bool:
        """Cancel ``trials`` that nobody has; false, and nothing done, if somebody has one."""
        mine = TrialRow.id.in_(trials)
        queued = lock_trials(self._session, mine, TrialRow.state == TrialState.QUEUED.value)
        if len(queued) < len(trials):
            return False
        cancelled = {"state": TrialState.CANCELLED.value, "finished_at": Now()}
        quiet = update(TrialRow).where(mine).execution_options(synchronize_session=False)
        self._session.execute(quiet.values(**cancelled))
        return True

    def offers(self, study: str) -> Sequence[TrialRow]:
        """Search trials the performance model may still make anew."""
        mine = select(TrialRow).where(TrialRow.study_id == study, TrialRow.is_offer)
        return self._session.scalars(mine.order_by(TrialRow.id)).all()

    def taken(self, study: str) -> int:
        """Count the search trials that are no offers: these the budget has paid for.

        Not those that were cancelled with an extension.
        """
        mine = (TrialRow.study_id == study) & (TrialRow.purpose == Purpose.SEARCH)
        counted = select(func.count()).where(mine, ~TrialRow.is_offer, _IS_IN)
        return int(self._session.scalar(counted) or 0)

    def all_failed(self, study: str, budget: int) -> bool:
        """Whether ``budget`` search trials or more are over and none has a score."""
        scores = select(func.count(), func.count(ObservationRow.score)).join(
            TrialRow, TrialRow.id == ObservationRow.trial_id
        )
        mine = (TrialRow.study_id == study) & (TrialRow.purpose == Purpose.SEARCH)
        over, scored = self._session.execute(scores.where(mine)).one()
        return over >= budget and not scored

    def runs_of(self, study: str, vector: RankVector) -> list[Run]:
        """The run of ``vector`` with the highest seed, of search or control, offers included.

        Found by the database: reading every vector of a long study takes seconds, in which nobody
        could write.
        """
        mine = (TrialRow.study_id == study) & (TrialRow.rank_vector == vector)
        is_run = TrialRow.purpose.in_((Purpose.SEARCH, Purpose.CONTROL))
        seed = self._session.scalar(select(func.max(TrialRow.seed)).where(mine, is_run, _IS_IN))
        return [] if seed is None else [(vector, int(seed))]

    def has_result_of_other(
        self, study: str, worker: str, since: float, purpose: Purpose | None = None
    ) -> bool:
        """Whether another worker has finished a trial of ``study`` well ``since`` then.

        With a ``purpose``, one of that.
        """
        mine = (TrialRow.study_id == study) & (TrialRow.state == TrialState.DONE)
        of_other = (TrialRow.worker != worker) & (TrialRow.finished_at >= since)
        found = select(TrialRow.id).where(mine, of_other).limit(1)
        if purpose is not None:
            found = found.where(TrialRow.purpose == purpose)
        return self._session.scalar(found) is not None

    def cancel_all(self, study: str) -> None:
        """Cancel every trial of ``study`` that is not finished, and close its attempts."""
        unfinished = TrialRow.state.in_((TrialState.QUEUED, TrialState.RUNNING))
        lock_trials(self._session, TrialRow.study_id == study, unfinished)
        cancelled = self._session.scalars(
            update(TrialRow)
            .where(TrialRow.study_id == study, unfinished)
            .values(state=TrialState.CANCELLED.value, finished_at=Now(), lease_until=None)
            .returning(TrialRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        running = AttemptRow.trial_id.in_(cancelled) & AttemptRow.outcome.is_(None)
        end_attempts(self._session, "cancelled", running)

    def first_score(self, study: str, vector: RankVector) -> float | None:
        """Score of the first search trial of ``vector``: on the seed all search trials share."""
        return self._session.scalar(_FIRST_SCORE, {"study": study, "vector": vector})

    def has_score(self, study: str) -> bool:
        """Whether any trial of ``study`` was measured."""
        return self._session.scalar(_HAS_SCORE, {"study": study}) is not None

    def page(
        self, study: str, cursor: int, limit: int
    ) -> list[tuple[TrialRow, ObservationRow | None, AttemptRow | None]]:
        """Trials after ``cursor`` with their result and latest attempt."""
        return self._with_results(
            TrialRow.study_id == study, TrialRow.id > cursor, limit=limit, newest=False
        )

    def newest(
        self, study: str, limit: int
    ) -> list[tuple[TrialRow, ObservationRow | None, AttemptRow | None]]:
        return self._with_results(TrialRow.study_id == study, limit=limit, newest=True)

    def one(self, trial: int) -> tuple[TrialRow, ObservationRow | None, AttemptRow | None]:
        (found,) = self._with_results(TrialRow.id == trial, limit=1, newest=False)
        return found

    def _with_results(
        self, *where: Any, limit: int, newest: bool
    ) -> list[tuple[TrialRow, ObservationRow | None, AttemptRow | None]]:
        latest = (AttemptRow.trial_id == TrialRow.id) & (AttemptRow.token == TrialRow.token)
        found = (
            select(TrialRow, ObservationRow, AttemptRow)
            .outerjoin(ObservationRow, ObservationRow.trial_id == TrialRow.id)
            .outerjoin(AttemptRow, latest)
            .where(*where)
            .order_by(TrialRow.id.desc() if newest else TrialRow.id)
            .limit(limit)
        )
        return [(row[0], row[1], row[2]) for row in self._session.execute(found)]

    def accept(
        self,
        trial: TrialRow,
        token: int,
        score: float | None,
        measurement: Any = None,
        texts: Any = None,
    ) -> int:
        """Record the trial's one result; return its number in the study's sequence."""
        sequence = int(self._session.scalar(_LAST, {"study": trial.study_id}) or 0) + 1
        result = {"token": token, "score": score, "measurement": measurement, "texts": texts}
        key = {"trial_id": trial.id, "study_id": trial.study_id, "sequence": sequence}
        self._session.execute(_ACCEPT, {**key, **result})
        return sequence


def lock_trials(session: Session, *where: Any) -> Sequence[int]:
    """Lock the trials ``where`` that holds, in the one order in which several are locked."""
    found = select(TrialRow.id).where(*where).order_by(TrialRow.id)
    return session.scalars(found.with_for_update(key_share=True)).all()


def _columns(planned: PlannedTrial) -> dict[str, Any]:
    values = {f.name: getattr(planned, f.name) for f in dataclasses.fields(planned)}
    said = {"purpose": planned.purpose.value, "split": planned.split.value}
    return {**values, **said, "survey": encode(planned.survey)}


def changed(result: Any) -> bool:
    """Whether a conditional update met its condition."""
    return affected(result) > 0


def affected(result: Any) -> int:
    """How many rows an update changed."""
    assert isinstance(result, CursorResult)
    return result.rowcount
