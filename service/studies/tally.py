"""Tally: a study's trials counted, summed and ranked by the database, for many studies at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from rankspace import Purpose, TrialState
from rankspace.study import Best
from service.storage.tables import AttemptRow, ObservationRow, TrialRow

_IS_MINE = TrialRow.study_id.in_(bindparam("studies", expanding=True))
_IS_ITS_RESULT = ObservationRow.trial_id == TrialRow.id

_KINDS = (TrialRow.study_id, TrialRow.purpose, TrialRow.state)
_COUNTED = select(*_KINDS, func.count()).where(_IS_MINE).group_by(*_KINDS)

_CLOCKED = (
    select(TrialRow.study_id, TrialRow.purpose, func.sum(AttemptRow.seconds))
    .join(AttemptRow, AttemptRow.trial_id == TrialRow.id)
    .where(_IS_MINE)
    .group_by(TrialRow.study_id, TrialRow.purpose)
)
"""Wall clock of all ended attempts, lost ones included."""

_IS_SEARCH = TrialRow.purpose == Purpose.SEARCH
_HIGHEST = (
    select(TrialRow.study_id, func.max(ObservationRow.score).label("score"))
    .join(ObservationRow, _IS_ITS_RESULT)
    .where(_IS_MINE, _IS_SEARCH)
    .group_by(TrialRow.study_id)
    .subquery()
)
_IS_BEST = (_HIGHEST.c.study_id == TrialRow.study_id) & (_HIGHEST.c.score == ObservationRow.score)
_RANKED = (
    select(TrialRow.study_id, ObservationRow.score, TrialRow.rank_vector, TrialRow.id)
    .join(ObservationRow, _IS_ITS_RESULT)
    .join(_HIGHEST, _IS_BEST)
    .where(_IS_MINE, _IS_SEARCH)
    .order_by(TrialRow.id.desc())
)
"""Trials with the highest score, the first one last: numbering all of them takes twice as long."""

_STEPS = ObservationRow.measurement["steps"].as_integer()
_SECONDS = ObservationRow.measurement["seconds", "train"].as_float()
_TRAINED = (
    select(TrialRow.study_id, func.sum(_STEPS), func.sum(_SECONDS))
    .join(TrialRow, _IS_ITS_RESULT)
    .where(_IS_MINE, TrialRow.purpose != Purpose.RECOVER, _SECONDS.is_not(None))
    .group_by(TrialRow.study_id)
)


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
    for study, purpose, state, count in session.execute(_COUNTED, {"studies": studies}):
        found[study].counts[purpose, state] = count


def _clock(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    for study, purpose, seconds in session.execute(_CLOCKED, {"studies": studies}):
        found[study].seconds[purpose] = float(seconds or 0.0)


def _rank(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    for study, score, vector, trial in session.execute(_RANKED, {"studies": studies}):
        assert score is not None  # it equals the highest
        found[study].best = Best(score, vector.ranks, trial)


def _train(session: Session, studies: Sequence[str], found: Mapping[str, Tally]) -> None:
    for study, took, lasted in session.execute(_TRAINED, {"studies": studies}):
        found[study].trained_steps, found[study].trained_seconds = int(took), float(lasted)
