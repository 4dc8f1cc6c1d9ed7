"""Routes of the buttons: what a member may do to a study, with the session of a browser.

Each is a form of our own pages, checked as logging in is: the cookie comes with no other site's
request, and ``check_origin`` refuses what says that it is from elsewhere.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from rankspace.errors import NotFound, RankspaceError
from rankspace.study import Extension
from service.access.caller import WRITERS, Caller
from service.runtime import Runtime
from service.studies import workflow
from service.studies.clone import Clone, Cloned
from service.studies.extension import extend
from service.studies.repository import Studies
from service.web.auth import Reader
from service.web.browser import check_origin
from service.web.changing import change_study, delete_study, start_clone, start_study
from service.web.errors import status_of
from service.web.pages.actions.form import Form
from service.web.pages.study.overview import OVERVIEW
from service.web.pages.study.page import Asked, Refusal, draw
from service.web.pages.templating import base_of, html, not_found, to_login
from service.web.routers.shared import Service

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

StudyName: TypeAlias = Annotated[str, Path(max_length=20)]
Action: TypeAlias = Callable[[Runtime, str, Form], Awaitable[str]]
"""Does it, and returns the address to go to, seen from the pages' root."""


async def _pause(runtime: Runtime, study: str, form: Form) -> str:
    await change_study(runtime, study, workflow.pause)
    return f"studies/{study}"


async def _resume(runtime: Runtime, study: str, form: Form) -> str:
    await change_study(runtime, study, workflow.resume)
    return f"studies/{study}"


async def _cancel(runtime: Runtime, study: str, form: Form) -> str:
    await change_study(runtime, study, workflow.cancel)
    return f"studies/{study}"


async def _extend(runtime: Runtime, study: str, form: Form) -> str:
    by = Extension(trials=form.number("trials") or 0, seeds=form.number("seeds"))
    await change_study(runtime, study, partial(extend, by=by, key=None))
    return f"studies/{study}"


async def _clone(runtime: Runtime, study: str, form: Form) -> str:
    by = Clone(
        form.text("name"), form.number("trials"), form.number("seed"), results=form.has("results")
    )
    asked = Cloned(study, by)
    made, _ = await start_study(runtime, partial(start_clone, asked=asked, key=None))
    return f"studies/{made}"


async def _delete(runtime: Runtime, study: str, form: Form) -> str:
    await run_in_threadpool(delete_study, runtime, study)
    return ""


@router.post("/studies/{study}/pause")
async def pause(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _pause)


@router.post("/studies/{study}/resume")
async def resume(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _resume)


@router.post("/studies/{study}/cancel")
async def cancel(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _cancel)


@router.post("/studies/{study}/extend")
async def extend_(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _extend)


@router.post("/studies/{study}/clone")
async def clone(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _clone)


@router.post("/studies/{study}/delete")
async def delete(request: Request, runtime: Service, caller: Reader, study: StudyName) -> Response:
    return await _do(request, runtime, caller, study, _delete)


async def _do(
    request: Request, runtime: Runtime, caller: Caller | None, study: str, action: Action
) -> Response:
    """Check who asks and from where, do it, and say on the page what was refused."""
    base = base_of(request)
    if caller is None:
        return to_login(base)
    check_origin(request, runtime.settings)
    if caller.role not in WRITERS:
        text = f"A {caller.role} key may look, and change nothing."
        hint = "Log in with a member's or an admin's key."
        return html("message.html", base, status=403, title="Not allowed", text=text, hint=hint)
    form = Form({})
    try:
        await run_in_threadpool(_check_scope, runtime, caller, study)
        form = Form.read(await request.body())
        at = await action(runtime, study, form)
    except NotFound as error:
        return not_found(base, error.detail)
    except RankspaceError as error:
        pressed = request.url.path.rpartition("/")[2]
        refusal = Refusal(error.detail, error.hint, pressed, form.values)
        asked = Asked(base, study, OVERVIEW, may_write=True)
        return await run_in_threadpool(_refused, runtime, asked, refusal, status_of(error))
    return RedirectResponse(f"{base}{at}" or "./", status_code=303)


def _check_scope(runtime: Runtime, caller: Caller, study: str) -> None:
    with runtime.database.reading() as session:
        Studies(session).get(study, caller.scope)


def _refused(runtime: Runtime, asked: Asked, refusal: Refusal, status: int) -> Response:
    with runtime.database.reading() as session:
        text, _ = draw(runtime, asked, session, refusal)
    return HTMLResponse(text, status)
