"""Tally: a study's trials counted, summed and ranked by the database, for many studies at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState
from service.storage.tables import AttemptRow, ObservationRow, TrialRow


@dataclass(frozen=True, slots=True)
class Best:
    """The best search result so far."""

    score: float
    rank_vector: tuple[int, ...]
    trial: int


@dataclass(slots=True)
class Tally:
    """Attributes: counts by purpose and state, attempts' wall clock by purpose, training in all.

    ``trained_seconds`` and ``trained_steps`` are what the trials with a measurement say of it,
    recoveries left out.
    """

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    best: Best | None = None
    trained_steps: int = 0
    trained_seconds: float = 0.0

    def begun(self, purpose: Purpose) -> int:
        """Trials of ``purpose`` that wait, run or have run; cancelled ones do not count."""
        return sum(
            count
            for (of, state), count in self.counts.items()
            if of == purpose and state != TrialState.CANCELLED
        )


def tallies(session: Session, studies: Sequence[str]) -> Mapping[str, Tally]:
    """Count up ``studies`` in four queries, however many studies or trials there are."""
    found: defaultdict[str, Tally] = defaultdict(Tally)
    _count(session, studies, found)
    _clock(session, studies, found)
    _rank(session, studies, found)
    _train(session, studies, found)
    return found


def _count(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    kinds = (TrialRow.study_id, TrialRow.purpose, TrialRow.state)
    counted = select(*kinds, func.count()).where(TrialRow.study_id.in_(studies)).group_by(*kinds)
    for study, purpose, state, count in session.execute(counted):
        found[study].counts[purpose, state] = count


def _clock(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    """Wall clock of all ended attempts, lost ones included."""
    kinds = (TrialRow.study_id, TrialRow.purpose)
    spent = select(*kinds, func.sum(AttemptRow.seconds)).join(
        AttemptRow, AttemptRow.trial_id == TrialRow.id
    )
    summed = spent.where(TrialRow.study_id.in_(studies)).group_by(*kinds)
    for study, purpose, seconds in session.execute(summed):
        found[study].seconds[purpose] = float(seconds or 0.0)


def _rank(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    """The first trial with the highest score: numbering all of them takes twice as long."""
    joined = ObservationRow.trial_id == TrialRow.id
    mine = TrialRow.study_id.in_(studies) & (TrialRow.purpose == Purpose.SEARCH)
    highest = (
        select(TrialRow.study_id, func.max(ObservationRow.score).label("score"))
        .join(ObservationRow, joined)
        .where(mine)
        .group_by(TrialRow.study_id)
        .subquery()
    )
    is_best = (highest.c.study_id == TrialRow.study_id) & (highest.c.score == ObservationRow.score)
    columns = (TrialRow.study_id, ObservationRow.score, TrialRow.rank_vector, TrialRow.id)
    ranked = select(*columns).join(ObservationRow, joined).join(highest, is_best).where(mine)
    for study, score, vector, trial in session.execute(ranked.order_by(TrialRow.id.desc())):
        assert score is not None  # it equals the highest
        found[study].best = Best(score, vector.ranks, trial)


def _train(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    steps = ObservationRow.measurement["steps"].as_integer()
    seconds = ObservationRow.measurement["seconds", "train"].as_float()
    trained = (
        select(TrialRow.study_id, func.sum(steps), func.sum(seconds))
        .join(TrialRow, TrialRow.id == ObservationRow.trial_id)
        .where(
            TrialRow.study_id.in_(studies),
            TrialRow.purpose != Purpose.RECOVER,
            seconds.is_not(None),
        )
        .group_by(TrialRow.study_id)
    )
    for study, took, lasted in session.execute(trained):
        found[study].trained_steps, found[study].trained_seconds = int(took), float(lasted)
