"""Routes of studies."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from rankspace import SearchSpace, Study, Verdict
from rankspace.errors import Conflict
from rankspace.evaluation.recovered import Recovered
from rankspace.study import MAX_GIB, Extension
from service.access.caller import READERS, WRITERS
from service.insights.cache import DOCUMENT, LIST
from service.insights.found import Made
from service.runtime import Runtime
from service.storage.documents import space_of, verdict_of
from service.storage.events import Event, Events
from service.studies import workflow
from service.studies.clone import Clone, Cloned
from service.studies.extension import extend
from service.studies.recovered import recovered
from service.studies.repository import Studies
from service.studies.revision import Revision, revision_of, revision_of_page
from service.studies.submission import Beside, submit
from service.studies.view import StudyView, view, views
from service.web.auth import Identified, Target, require
from service.web.bodies import body_of, refusals, reply, route, sent
from service.web.changing import (
    Change,
    Start,
    change_study,
    delete_study,
    start_clone,
    start_study,
)
from service.web.routers.shared import (
    After,
    AfterName,
    IdempotencyKey,
    Limit,
    Service,
    StudyId,
    fitting,
    looking,
    page,
    page_schema,
)
from service.web.threads import in_thread, threaded

router = APIRouter(
    prefix="/v1/studies",
    tags=["studies"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 409, 429),
)


def _beside(
    caller: Identified,
    origin: Annotated[str | None, Query(alias="from", max_length=20)] = None,
    gpu_need_gib: Annotated[float, Query(ge=0, le=MAX_GIB, allow_inf_nan=False)] = 0.0,
) -> Beside:
    return Beside((origin, caller.scope) if origin else None, None, gpu_need_gib)


@router.post("", **route(StudyView, body=Study, status=201, also={200: StudyView}))
async def submit_study(
    runtime: Service,
    project: Target,
    study: Annotated[Study, Depends(body_of(Study))],
    beside: Annotated[Beside, Depends(_beside)],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Start a study, perhaps with another's results; 200 when this key did so before.

    Where it does not state `gpu_memory_gib`, GPUs with less than `gpu_need_gib` get no trials.
    """
    return await _start(
        runtime, partial(submit, study=study, key=idempotency_key, project=project, beside=beside)
    )


@router.get("", **route(page_schema(StudyView)))
async def list_studies(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 50
) -> Response:
    """List studies, newest first."""
    active = runtime.settings.active_worker_seconds

    def look(session: Session) -> Revision:
        return revision_of_page(session, after, limit + 1, caller.scope, active)

    def listed(session: Session) -> Made[None]:
        rows = Studies(session).page(after, limit + 1, caller.scope)
        found = page(views(session, rows, active), limit, lambda study: study.id)
        return Made(look(session), bytes(reply(found).body), None)

    asked = await in_thread(runtime.insights.asked, look)
    of = (caller.scope.project, limit, after)
    return sent(await runtime.insights.shared(LIST, of, asked, listed))


@router.get("/{study}", **route(StudyView))
async def get_study(runtime: Service, study: StudyId) -> Response:
    """Show one study."""
    active = runtime.settings.active_worker_seconds

    def look(session: Session) -> Revision:
        return revision_of(session, study, active)

    def drawn(session: Session) -> Made[None]:
        shown = view(session, Studies(session).get(study), active)
        return Made(look(session), bytes(reply(shown).body), None)

    asked = await in_thread(runtime.insights.asked, look)
    return sent(await runtime.insights.shared(DOCUMENT, study, asked, drawn))


@router.get("/{study}/space", **route(SearchSpace))
def get_space(runtime: Service, study: StudyId) -> JSONResponse:
    """Show the layers, the ranks allowed and the ceiling."""
    with runtime.database.reading() as session:
        return reply(space_of(Studies(session).get(study).space))


@router.get("/{study}/recovered", **route(Recovered))
def get_recovered(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what the recovered models score on the metrics that the study asks for."""
    with runtime.database.reading() as session:
        return reply(recovered(session, Studies(session).get(study)))


@router.get("/{study}/verdict", **route(Verdict))
def get_verdict(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what the study may honestly claim."""
    with runtime.database.reading() as session:
        row = Studies(session).get(study)
        verdict = verdict_of(row.verdict, row.answer)
        if verdict is None:
            hint = "wait until the verification is over"
            raise Conflict(f"study {study} is {row.state} and has no verdict", hint=hint)
        return reply(verdict)


@router.get("/{study}/events", dependencies=[Depends(looking)], **route(page_schema(Event)))
@threaded
def list_events(
    runtime: Service, study: StudyId, after: After = 0, limit: Limit = 100
) -> JSONResponse:
    """List what happened, oldest first; less at a time of a study with many layers."""
    with runtime.database.reading() as session:
        limit = fitting(limit, space_of(Studies(session).get(study).space))
        found = Events(session).after(study, after, limit + 1)
    return reply(page(found, limit, lambda event: event.id))


@router.post("/{study}/pause", **route(StudyView))
async def pause_study(runtime: Service, study: StudyId) -> JSONResponse:
    """Hand out no more trials; running ones may finish."""
    return await _change(runtime, study, workflow.pause)


@router.post("/{study}/resume", **route(StudyView))
async def resume_study(runtime: Service, study: StudyId) -> JSONResponse:
    """Go on with a paused study, or try a failed one again."""
    return await _change(runtime, study, workflow.resume)


@router.post("/{study}/cancel", **route(StudyView))
async def cancel_study(runtime: Service, study: StudyId) -> JSONResponse:
    """Stop for good."""
    return await _change(runtime, study, workflow.cancel)


@router.post("/{study}/extend", **route(StudyView, body=Extension))
async def extend_study(
    runtime: Service,
    study: StudyId,
    by: Annotated[Extension, Depends(body_of(Extension))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Go on with a study that is done: more trials, then a verification on fresh seeds."""
    return await _change(runtime, study, partial(extend, by=by, key=idempotency_key))


@router.post("/{study}/clone", **route(StudyView, body=Clone, status=201, also={200: StudyView}))
async def clone_study(
    runtime: Service,
    study: StudyId,
    clone: Annotated[Clone, Depends(body_of(Clone))],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Start the study once more; 200 when this Idempotency-Key did so before."""
    asked = Cloned(study, clone)
    return await _start(runtime, partial(start_clone, asked=asked, key=idempotency_key))


@router.delete("/{study}", **route(None, status=204))
def forget_study(runtime: Service, study: StudyId) -> Response:
    """Forget a study that is over, with its trials, events and files."""
    delete_study(runtime, study)
    return Response(status_code=204)


async def _start(runtime: Runtime, start: Start) -> JSONResponse:
    study, is_new = await start_study(runtime, start)
    return await run_in_threadpool(_show, runtime, study, 201 if is_new else 200, True)


async def _change(runtime: Runtime, study: str, change: Change) -> JSONResponse:
    await change_study(runtime, study, change)
    return await run_in_threadpool(_show, runtime, study)


def _show(runtime: Runtime, study: str, status: int = 200, is_made: bool = False) -> JSONResponse:
    with runtime.database.reading() as session:
        row = Studies(session).get(study)
        shown = view(session, row, runtime.settings.active_worker_seconds)
        return reply(shown, status, at=f"{router.prefix}/{study}" if is_made else None)
