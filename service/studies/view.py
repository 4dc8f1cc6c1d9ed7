"""StudyView: a study as the outside sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from rankspace import Purpose, Study, Verdict
from rankspace.observation import DataCounts
from rankspace.study import ACTIVE, Best, Progress, StudyState
from service.artifacts.repository import Artifacts
from service.storage.clock import timestamp
from service.storage.documents import counts_of, space_of, study_of, verdict_of
from service.storage.tables import BarRow, StudyRow
from service.studies.extension import begun_before
from service.studies.progress import progress, remaining_seconds
from service.studies.tally import Tally, tallies
from service.trials.repository import Trials
from service.workers.bars import Bars
from service.workers.fitness import Memory, getting, unfit
from service.workers.repository import Workers


@dataclass(frozen=True, slots=True)
class Parameters:
    """Trainable parameters: the ceiling, and what uniform ranks use of it."""

    maximum: int
    uniform: int


@dataclass(frozen=True, slots=True)
class Barred:
    """A worker that could not run the study's trials, why, and until when it gets none of it."""

    worker: str
    tries: int
    reason: str
    until: str | None


@dataclass(frozen=True, slots=True)
class StudyView:
    """Attributes: see ``docs/rest.md``."""

    id: str
    project: str
    name: str
    state: StudyState
    stage: StudyState
    error: str | None
    created_at: str | None
    study: Study
    parameters: Parameters
    progress: Mapping[str, Progress]
    best: Best | None
    uniform_score: float | None
    verdict: Verdict | None
    export_ready: bool
    workers_active: int
    unfit: str | None
    gpu_need_gib: float | None
    barred: tuple[Barred, ...]
    eta_seconds: float | None
    before_recovery_seconds: float | None
    seconds: Mapping[str, float]
    data: DataCounts | None
    extensions: int
    origin: str | None
    note: str | None
    base_dtype: str | None


def view(session: Session, row: StudyRow, active_seconds: float) -> StudyView:
    (shown,) = views(session, [row], active_seconds)
    return shown


def views(session: Session, rows: Sequence[StudyRow], active_seconds: float) -> list[StudyView]:
    """View many studies without loading their trials."""
    counted = tallies(session, [row.id for row in rows])
    memories = Workers(session).memories(active_seconds)
    bars = Bars(session).of([row.id for row in rows])
    return [
        _view(session, row, counted.get(row.id, Tally()), memories, bars.get(row.id, ()))
        for row in rows
    ]


def _view(
    session: Session,
    row: StudyRow,
    tally: Tally,
    memories: Mapping[Memory, int],
    bars: Sequence[BarRow],
) -> StudyView:
    study, space = study_of(row), space_of(row.space)
    stage, uniform = StudyState(row.stage), space.uniform()
    counts = progress(study, stage, tally, begun_before(row))
    is_active, is_paired = row.state in ACTIVE, study.verify.at == "recipe"
    verdict = verdict_of(row.verdict, row.answer)
    before_recovery, at_end = (
        remaining_seconds(study, counts, tally, getting(row, memories))
        if is_active
        else (None, None)
    )
    return StudyView(
        id=row.id,
        project=row.project,
        name=row.name,
        state=StudyState(row.state),
        stage=stage,
        error=row.error,
        created_at=timestamp(row.created_at),
        study=study,
        parameters=Parameters(space.max_parameters, space.parameters(uniform)),
        progress={purpose.value: count for purpose, count in counts.items()},
        best=tally.best,
        uniform_score=Trials(session).first_score(row.id, uniform),
        verdict=verdict,
        export_ready=bool(Artifacts(session).export(row.id, verdict, is_paired=is_paired)),
        workers_active=sum(memories.values()),
        unfit=unfit(row, memories) if is_active else None,
        gpu_need_gib=row.gpu_need_gib or None,
        barred=tuple(
            Barred(bar.worker, bar.tries, bar.reason, timestamp(bar.until)) for bar in bars
        ),
        eta_seconds=at_end,
        before_recovery_seconds=before_recovery,
        seconds={purpose.value: tally.seconds.get(purpose, 0.0) for purpose in Purpose},
        data=counts_of(row.counts),
        extensions=len(row.extensions or ()),
        origin=row.origin,
        note=row.note,
        base_dtype=row.base_dtype,
    )
