"""TrialView: a trial as the outside sees it."""

from dataclasses import dataclass, replace

from rankspace import Measurement, SearchSpace
from rankspace.trial import Purpose, Split, TrialState
from rankspace.wire import decode
from service.storage.clock import timestamp
from service.storage.tables import AttemptRow, ObservationRow, TrialRow


@dataclass(frozen=True, slots=True)
class TrialView:
    """Attributes: see ``docs/rest.md``."""

    id: int
    study: str
    purpose: Purpose
    state: TrialState
    offer: bool
    rank_vector: tuple[int, ...]
    parameters: int
    seed: int
    split: Split
    mean: float | None
    std: float | None
    reason: str
    worker: str | None
    token: int
    expiries: int
    score: float | None
    measurement: Measurement | None
    seconds: float | None
    error: str | None
    interim: tuple[tuple[float, ...], ...]
    created_at: str | None
    started_at: str | None
    finished_at: str | None


def view(
    row: TrialRow,
    result: ObservationRow | None,
    attempt: AttemptRow | None,
    space: SearchSpace,
) -> TrialView:
    """See a trial of ``space``, with its result and its latest attempt.

    Without the scores of a survey, up to 500, which the event of its end has, and without what a
    recovered model scored on each group of documents, which is told of all of them together.
    """
    measured = result.measurement if result else None
    return TrialView(
        id=row.id,
        study=row.study_id,
        purpose=Purpose(row.purpose),
        state=TrialState(row.state),
        offer=row.is_offer,
        rank_vector=row.rank_vector.ranks,
        parameters=space.parameters(row.rank_vector),
        seed=row.seed,
        split=Split(row.split),
        mean=row.mean,
        std=row.std,
        reason=row.reason,
        worker=attempt.worker if attempt else None,
        token=row.token,
        expiries=row.expiries,
        score=result.score if result else None,
        measurement=_told(decode(Measurement, measured)) if measured else None,
        seconds=attempt.seconds if attempt else None,
        error=row.error,
        interim=tuple(tuple(pair) for pair in (attempt.interim or ())) if attempt else (),
        created_at=timestamp(row.created_at),
        started_at=timestamp(attempt.started_at) if attempt else None,
        finished_at=timestamp(row.finished_at),
    )


def _told(measured: Measurement) -> Measurement:
    return replace(measured, scores=(), metrics=())
