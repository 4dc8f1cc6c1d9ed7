"""History: a worker's failures in a row, beside what others made of the same studies meanwhile."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from rankspace import TrialState
from service.storage.tables import TrialRow, WorkerRow

RECENT = 50
"""Results of others in a study that are looked at, the latest ones: studies change."""

_SINCE = select(WorkerRow.struck_at).where(WorkerRow.name == bindparam("worker")).scalar_subquery()
_FAILED, _DONE = TrialState.FAILED.value, TrialState.DONE.value
_OWN = (
    select(TrialRow.study_id, func.count())
    .where(
        TrialRow.worker == bindparam("worker"),
        TrialRow.state == _FAILED,
        TrialRow.finished_at >= _SINCE,
    )
    .group_by(TrialRow.study_id)
)
_OTHERS = (
    select(TrialRow.state)
    .where(
        TrialRow.study_id == bindparam("study"),
        TrialRow.worker != bindparam("worker"),
        TrialRow.state.in_((_DONE, _FAILED)),
        TrialRow.finished_at >= _SINCE,
    )
    .order_by(TrialRow.finished_at.desc())
    .limit(RECENT)
)


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to the trials of one study since a worker began to fail.

    Attributes:
        own: Its failures in the study.
        failed: The others' failures there.
        done: What the others finished well there.
    """

    own: int
    failed: int
    done: int


def chance(records: Iterable[Record]) -> float:
    """Probability that all ``own`` trials fail, if all workers fail at one rate in a study.

    Nothing is known of that rate but what is seen (Laplace's rule of succession): few results of
    others say little, and many failures of theirs make one's own likely.
    """
    return math.prod(
        (one.failed + 1 + earlier) / (one.failed + one.done + 2 + earlier)
        for one in records
        for earlier in range(one.own)
    )


def records(session: Session, worker: str) -> list[Record]:
    """What counts against ``worker``: studies in which others got something done meanwhile."""
    own = session.execute(_OWN, {"worker": worker}).all()
    found = [_record(session, worker, study, failures) for study, failures in own]
    return [record for record in found if record.done]


def _record(session: Session, worker: str, study: str, failures: int) -> Record:
    states: Sequence[str] = session.scalars(_OTHERS, {"worker": worker, "study": study}).all()
    return Record(failures, states.count(_FAILED), states.count(_DONE))
