"""The fleet: workers and when they were heard of, what waits for them, and what it takes."""

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from rankspace.study import ACTIVE
from rankspace.trial import TrialState
from service.access.caller import Role
from service.runtime import Runtime
from service.storage.clock import Now
from service.storage.events import Events
from service.storage.scope import Scope
from service.storage.tables import StudyRow, TrialRow
from service.studies.view import views
from service.web.auth import Reader
from service.web.pages.study.page import part_of
from service.web.pages.templating import base_of, drawn, to_login
from service.web.routers.shared import Service
from service.web.threads import in_thread
from service.workers.repository import Workers

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
MOST_WORKERS, MOST_STUDIES = 200, 50
"""Listed at most; the page says so where there are more."""


@router.get("/fleet")
async def fleet_page(request: Request, runtime: Service, caller: Reader) -> Response:
    if caller is None:
        return to_login(base_of(request))
    with runtime.limits.looking(caller):
        is_admin = caller.role is Role.ADMIN
        text = await in_thread(partial(_drawn, runtime, caller.scope, is_admin=is_admin))
    return part_of(request, text.encode())


def _drawn(runtime: Runtime, scope: Scope, *, is_admin: bool) -> str:
    with runtime.database.reading() as session:
        workers = Workers(session).page("", MOST_WORKERS + 1, scope)
        studies = _active(session, scope)
        seconds = runtime.settings.active_worker_seconds
        return drawn(
            "fleet.html",
            base="",
            workers=workers[:MOST_WORKERS],
            has_more=len(workers) > MOST_WORKERS,
            holding=_holding(session, [row.name for row in workers], scope),
            now=float(session.scalar(select(Now())) or 0.0),
            active_seconds=seconds,
            studies=views(session, studies[:MOST_STUDIES], seconds),
            needs={row.id: row.gpu_memory_gib or row.gpu_need_gib for row in studies},
            has_more_studies=len(studies) > MOST_STUDIES,
            is_admin=is_admin,
            last_event=Events(session).last_in(scope),
        )


def _active(session: Session, scope: Scope) -> list[StudyRow]:
    """Studies that go on, those that were submitted last first."""
    mine = select(StudyRow).where(StudyRow.state.in_(ACTIVE), scope.bounds(StudyRow.project))
    ordered = mine.order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
    return list(session.scalars(ordered.limit(MOST_STUDIES + 1)))


def _holding(session: Session, workers: list[str], scope: Scope) -> dict[str, tuple[int, str]]:
    """The trial that each has now, and its study; not those of other projects."""
    found = (
        select(TrialRow.worker, TrialRow.id, TrialRow.study_id)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(TrialRow.worker.in_(workers), TrialRow.state == TrialState.RUNNING.value)
        .where(scope.bounds(StudyRow.project))
        .order_by(TrialRow.id)
    )
    return {str(worker): (trial, study) for worker, trial, study in session.execute(found)}
