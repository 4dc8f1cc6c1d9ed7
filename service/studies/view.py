"""StudyView: a study as the outside sees it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from rankspace import Purpose, Study, Verdict
from rankspace.study import StudyState
from rankspace.wire import decode
from service.artifacts.repository import Artifacts
from service.clock import timestamp
from service.documents import space_of, study_of
from service.leases.repository import Leases
from service.studies.progress import Best, Progress, best, progress, remaining_seconds, score_of
from service.tables import StudyRow
from service.trials.repository import Trials


@dataclass(frozen=True, slots=True)
class Parameters:
    """Trainable parameters: the ceiling, and what uniform ranks use of it."""

    maximum: int
    uniform: int


@dataclass(frozen=True, slots=True)
class StudyView:
    """Attributes: see ``docs/rest.md``."""

    id: str
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
    eta_seconds: float | None
    seconds: Mapping[str, float]


def view(session: Session, row: StudyRow, active_seconds: float) -> StudyView:
    study, space = study_of(row.document), space_of(row.space)
    trials, stage = Trials(session), StudyState(row.stage)
    results = trials.of_study(row.id)
    counts, seconds = progress(study, stage, results), trials.seconds(row.id)
    workers = Leases(session).active_workers(active_seconds)
    going = row.state == row.stage and stage is not StudyState.DONE
    return StudyView(
        id=row.id,
        name=row.name,
        state=StudyState(row.state),
        stage=stage,
        error=row.error,
        created_at=timestamp(row.created_at),
        study=study,
        parameters=Parameters(space.max_parameters, space.parameters(space.uniform())),
        progress={purpose.value: count for purpose, count in counts.items()},
        best=best(results),
        uniform_score=score_of(results, space.uniform()),
        verdict=decode(Verdict, row.verdict) if row.verdict else None,
        export_ready=stage is StudyState.DONE and bool(Artifacts(session).export(row.id)),
        workers_active=workers,
        eta_seconds=remaining_seconds(study, counts, seconds, workers) if going else None,
        seconds={purpose.value: seconds.get(purpose, 0.0) for purpose in Purpose},
    )
