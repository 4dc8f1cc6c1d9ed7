"""Trials as people look through them: some of thousands, found and ordered by the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector
from service.storage.tables import AttemptRow, ObservationRow, TrialRow

OFFER = "offer"
"""State of a trial that the model may still make anew."""

ORDERS = ("newest", "oldest", "best", "longest")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which trials, in which order; empty for all of them.

    Attributes:
        state: One of ``TrialState`` or ``OFFER``.
        purpose: One of ``Purpose``.
        order: One of ``ORDERS``: by identity, by score or by duration.
    """

    state: str = ""
    purpose: str = ""
    order: str = ORDERS[0]


@dataclass(frozen=True, slots=True)
class Listed:
    """A trial with its result and its latest attempt."""

    row: TrialRow
    result: ObservationRow | None
    attempt: AttemptRow | None

    @property
    def state(self) -> str:
        return OFFER if self.row.is_offer else self.row.state


@dataclass(frozen=True, slots=True)
class Spent:
    """What ended attempts came to: of trials of one purpose, with one outcome."""

    purpose: str
    outcome: str
    attempts: int
    seconds: float


def count(session: Session, study: str, wanted: Wanted) -> int:
    found = select(func.count()).select_from(TrialRow).where(*_matching(study, wanted))
    return int(session.scalar(found) or 0)


def listed(
    session: Session, study: str, wanted: Wanted, offset: int, limit: int
) -> tuple[Listed, ...]:
    """A part of them. Ordered by identity where the order asked for is the same."""
    latest = (AttemptRow.trial_id == TrialRow.id) & (AttemptRow.token == TrialRow.token)
    found = (
        select(TrialRow, ObservationRow, AttemptRow)
        .outerjoin(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .outerjoin(AttemptRow, latest)
        .where(*_matching(study, wanted))
        .order_by(*_order(wanted.order))
        .offset(offset)
        .limit(limit)
    )
    return tuple(Listed(row[0], row[1], row[2]) for row in session.execute(found))


def _matching(study: str, wanted: Wanted) -> tuple[ColumnElement[bool], ...]:
    is_offer: ColumnElement[bool] = TrialRow.is_offer.expression
    found = [TrialRow.study_id == study]
    if wanted.state == OFFER:
        found.append(is_offer)
    elif wanted.state:
        found.append((TrialRow.state == wanted.state) & ~is_offer)
    if wanted.purpose:
        found.append(TrialRow.purpose == wanted.purpose)
    return tuple(found)


def _order(order: str) -> tuple[ColumnElement[Any], ...]:
    newest = TrialRow.id.desc()
    return {
        "oldest": (TrialRow.id.asc(),),
        "best": (ObservationRow.score.is_(None), ObservationRow.score.desc(), newest),
        "longest": (AttemptRow.seconds.is_(None), AttemptRow.seconds.desc(), newest),
    }.get(order, (newest,))


def attempts_of(session: Session, trial: int) -> tuple[AttemptRow, ...]:
    """Every claim of a trial, the first one first."""
    mine = select(AttemptRow).where(AttemptRow.trial_id == trial).order_by(AttemptRow.token)
    return tuple(session.scalars(mine))


def search_history(session: Session, study: str) -> list[tuple[int, float, float]]:
    """Trials of the search with a score, and the wall clock of all attempts of each, in seconds.

    In the order of their acceptance.
    """
    spent = (
        select(func.coalesce(func.sum(AttemptRow.seconds), 0.0))
        .where(AttemptRow.trial_id == TrialRow.id)
        .scalar_subquery()
    )
    found = (
        select(TrialRow.id, ObservationRow.score, spent)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id == study, TrialRow.purpose == Purpose.SEARCH.value)
        .where(ObservationRow.score.is_not(None))
        .order_by(ObservationRow.sequence)
    )
    return [
        (trial, float(score or 0.0), seconds) for trial, score, seconds in session.execute(found)
    ]


def spent_on(session: Session, study: str) -> tuple[Spent, ...]:
    """Sum up the ended attempts of a study, the dearest first."""
    seconds = func.coalesce(func.sum(AttemptRow.seconds), 0.0)
    found = (
        select(TrialRow.purpose, AttemptRow.outcome, func.count(), seconds)
        .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
        .where(TrialRow.study_id == study, AttemptRow.outcome.is_not(None))
        .group_by(TrialRow.purpose, AttemptRow.outcome)
        .order_by(seconds.desc())
    )
    return tuple(
        Spent(purpose, str(outcome), attempts, float(spent or 0.0))
        for purpose, outcome, attempts, spent in session.execute(found)
    )


def vectors_of(session: Session, trials: Sequence[int]) -> Mapping[int, RankVector]:
    """The rank vectors of ``trials``."""
    found = select(TrialRow.id, TrialRow.rank_vector).where(TrialRow.id.in_(trials))
    return dict(session.execute(found).all())
