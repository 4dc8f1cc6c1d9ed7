"""Routes of studies."""

from collections.abc import Callable
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from rankspace import SearchSpace, Study, Verdict
from rankspace.errors import Conflict
from service.access.caller import READERS, WRITERS
from service.planning.queue import settle
from service.runtime import Runtime
from service.storage.documents import space_of
from service.storage.events import Event, Events
from service.storage.tables import StudyRow
from service.studies import workflow
from service.studies.repository import Studies
from service.studies.submission import submit
from service.studies.view import StudyView, view, views
from service.web.auth import Identified, Target, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import (
    After,
    AfterName,
    Limit,
    Service,
    StudyId,
    fitting,
    looking,
    page,
    page_schema,
)
from service.web.threads import threaded

router = APIRouter(
    prefix="/v1/studies",
    tags=["studies"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 409, 429),
)


@router.post("", **route(StudyView, body=Study, status=201, also={200: StudyView}))
async def submit_study(
    runtime: Service,
    project: Target,
    study: Annotated[Study, Depends(body_of(Study))],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> JSONResponse:
    """Start a study; 200 when this Idempotency-Key started it before."""
    row, is_new = await run_in_threadpool(submit, runtime.database, study, idempotency_key, project)
    await settle([runtime.planning.ask(row.id)])
    return await run_in_threadpool(_show, runtime, row.id, 201 if is_new else 200, True)


@router.get("", **route(page_schema(StudyView)))
def list_studies(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 50
) -> JSONResponse:
    """List studies, newest first."""
    active = runtime.settings.active_worker_seconds

    def listed() -> JSONResponse:
        with runtime.database.reading() as session:
            rows = Studies(session).page(after, limit + 1, caller.scope)
            found = views(session, rows, active)
        return reply(page(found, limit, lambda study: study.id))

    return runtime.insights.shared("list", (caller.scope.project, limit, after), listed)


@router.get("/{study}", **route(StudyView))
def get_study(runtime: Service, study: StudyId) -> JSONResponse:
    """Show one study."""
    return runtime.insights.shared("document", study, lambda: _show(runtime, study))


@router.get("/{study}/space", **route(SearchSpace))
def get_space(runtime: Service, study: StudyId) -> JSONResponse:
    """Show the layers, the ranks allowed and the ceiling."""
    with runtime.database.reading() as session:
        return reply(space_of(Studies(session).get(study).space))


@router.get("/{study}/verdict", **route(Verdict))
def get_verdict(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what the study may honestly claim."""
    with runtime.database.reading() as session:
        row = Studies(session).get(study)
        if row.verdict is None:
            hint = "wait until the verification is over"
            raise Conflict(f"study {study} is {row.state} and has no verdict", hint=hint)
        return reply(row.verdict)


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


@router.delete("/{study}", **route(None, status=204))
def delete_study(runtime: Service, study: StudyId) -> Response:
    """Forget a study that is over, with its trials, events and files."""
    with runtime.database.writing() as session:
        workflow.delete(session, study)
    runtime.artifacts.forget(study)
    return Response(status_code=204)


Change: TypeAlias = Callable[[Session, str], StudyRow]


async def _change(runtime: Runtime, study: str, change: Change) -> JSONResponse:
    await run_in_threadpool(_write, runtime, study, change)
    runtime.doorbell.ring()
    await settle([runtime.planning.ask(study)])
    return await run_in_threadpool(_show, runtime, study)


def _write(runtime: Runtime, study: str, change: Change) -> None:
    with runtime.database.writing() as session:
        change(session, study)


def _show(runtime: Runtime, study: str, status: int = 200, is_made: bool = False) -> JSONResponse:
    with runtime.database.reading() as session:
        row = Studies(session).get(study)
        shown = view(session, row, runtime.settings.active_worker_seconds)
        return reply(shown, status, at=f"{router.prefix}/{study}" if is_made else None)
