"""The list of studies, with what each has come to."""

from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.insights.cache import LIST
from service.insights.found import Made
from service.runtime import Runtime
from service.storage.events import Events
from service.storage.scope import Scope
from service.studies.repository import Studies
from service.studies.revision import Revision, revision_of_page
from service.studies.view import views
from service.web.auth import Reader
from service.web.pages.study.page import part_of
from service.web.pages.templating import drawn, to_login
from service.web.routers.shared import Service
from service.web.threads import in_thread

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
LISTED = 100


@router.get("/")
async def list_page(request: Request, runtime: Service, caller: Reader) -> Response:
    if caller is None:
        return to_login("")
    look = partial(_look_at_list, runtime, caller.scope)
    asked = await in_thread(runtime.insights.asked, look)
    draw = partial(_listed, runtime, caller.scope)
    of = "as a page", caller.scope.project
    return part_of(request, await runtime.insights.shared(LIST, of, asked, draw))


def _look_at_list(runtime: Runtime, scope: Scope, session: Session) -> Revision:
    """The page also says which event it knows of, of whatever study."""
    active = runtime.settings.active_worker_seconds
    found = revision_of_page(session, None, LISTED, scope, active)
    return replace(found, rest=(*found.rest, Events(session).last_in(scope)))


def _listed(runtime: Runtime, scope: Scope, session: Session) -> Made[None]:
    """The same for everybody who sees so far."""
    active = runtime.settings.active_worker_seconds
    rows = Studies(session).page(None, LISTED, scope)
    text = drawn(
        "studies.html",
        base="",
        studies=views(session, rows, active),
        last_event=Events(session).last_in(scope),
    )
    return Made(_look_at_list(runtime, scope, session), text.encode(), None)
