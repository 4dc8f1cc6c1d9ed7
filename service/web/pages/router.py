"""The status page: HTML to read, a login form, and nothing that changes a study."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rankspace.calibration import Calibration
from rankspace.errors import NotFound, Unauthenticated, UnreadableInput
from rankspace.front import Front
from rankspace.study import OVER
from service.access.caller import Caller
from service.access.logins import Logins
from service.insights.cache import Computing
from service.runtime import Runtime
from service.storage.documents import space_of
from service.storage.events import Events
from service.storage.scope import Scope
from service.studies.repository import Studies
from service.studies.view import view, views
from service.trials.repository import Trials
from service.web.auth import Reader, admit_stranger
from service.web.browser import check_origin, clear_cookie, cookie, set_cookie
from service.web.pages import agreement, price
from service.web.pages.charts import HEIGHT, WIDTH, curve, grid, strip
from service.web.pages.words import duration, percent, verdict_words
from service.web.routers.shared import Service

PAGE_PATIENCE_SECONDS = 0.15
"""How long a page waits for what was never computed; the next look shows it."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
LISTED = 100
FIELDS = 8

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(
    duration=duration, percent=percent, strip=strip, grid=grid, width=WIDTH, height=HEIGHT
)


@router.get("/")
def list_page(runtime: Service, caller: Reader) -> Response:
    if caller is None:
        return _to_login()
    scope = caller.scope
    drawn = runtime.insights.shared("list page", scope.project, lambda: _listed(runtime, scope))
    return HTMLResponse(drawn)


def _listed(runtime: Runtime, scope: Scope) -> str:
    """The same for everybody who sees so far."""
    active = runtime.settings.active_worker_seconds
    with runtime.database.reading() as session:
        rows = Studies(session).page(None, LISTED, scope)
        return _templates.get_template("studies.html").render(
            studies=views(session, rows, active), last_event=Events(session).last_in(scope)
        )


@router.get("/studies/{study}")
def study_page(
    runtime: Service, caller: Reader, study: Annotated[str, PathParameter(max_length=20)]
) -> Response:
    if caller is None:
        return _to_login()
    try:
        return _study_page(runtime, study, caller)
    except NotFound as error:
        return _html("message.html", status=404, title="Not found", text=error.detail)


def _study_page(runtime: Runtime, study: str, caller: Caller) -> Response:
    with runtime.database.reading() as session:
        Studies(session).get(study, caller.scope)
    drawn = runtime.insights.shared("page", study, lambda: _drawn(runtime, study))
    return HTMLResponse(drawn)


def _drawn(runtime: Runtime, study: str) -> str:
    """The same for everybody who may see the study."""
    front, calibration, is_computing = _insights(runtime, study)
    with runtime.database.reading() as session:
        row = Studies(session).get(study)
        shown, space = (
            view(session, row, runtime.settings.active_worker_seconds),
            space_of(row.space),
        )
        trials = Trials(session)
        return _templates.get_template("study.html").render(
            study=shown,
            is_over=shown.state in OVER,
            last_event=Events(session).last(study),
            space=space,
            curve=curve(trials.search_scores(study), shown.uniform_score),
            trials=trials.newest(study, LISTED),
            words=verdict_words(shown.verdict) if shown.verdict else (),
            front=front,
            prices=price.price(front),
            price_frame=price,
            calibration=calibration,
            agrees=agreement.agreement(calibration) if calibration else None,
            agreement_frame=agreement,
            is_computing=is_computing,
        )


def _insights(runtime: Runtime, study: str) -> tuple[Front | None, Calibration | None, bool]:
    """What is known soon enough for a page, and whether there is more to come."""
    try:
        front = runtime.insights.front(study, PAGE_PATIENCE_SECONDS)
        return front, runtime.insights.calibration(study, PAGE_PATIENCE_SECONDS), False
    except Computing:
        return None, None, True


@router.get("/login", dependencies=[Depends(admit_stranger)])
def login_page(code: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Show the form: only its button uses the code up, so that a link preview does not."""
    return _html("login.html", code=code, problem="")


@router.post("/login", dependencies=[Depends(admit_stranger)])
async def login(request: Request, runtime: Service) -> Response:
    check_origin(request, runtime.settings)
    code = _code(await request.body())
    try:
        secret, request.state.caller = await run_in_threadpool(_redeem, runtime, code)
    except Unauthenticated as error:
        return _html("login.html", status=401, code="", problem=error.detail)
    answer = RedirectResponse("/", status_code=303)
    set_cookie(request, runtime.settings, answer, secret)
    return answer


@router.post("/logout")
def logout(request: Request, runtime: Service, caller: Reader) -> Response:
    """End the session here and in the browser; without one there is nothing to end."""
    check_origin(request, runtime.settings)
    secret = cookie(request, runtime.settings)
    if caller is not None and secret:
        with runtime.database.writing() as session:
            Logins(session).end(secret)
    answer = _to_login()
    clear_cookie(request, runtime.settings, answer)
    return answer


def _code(raw: bytes) -> str:
    """Read the form's one field; empty without it."""
    try:
        form = parse_qs(raw.decode("utf-8", "replace"), max_num_fields=FIELDS)
    except ValueError:
        problem = f"has more than {FIELDS} fields"
        raise UnreadableInput("form", raw[:60], problem, fix="send the code alone") from None
    return form.get("code", [""])[0]


def _redeem(runtime: Runtime, code: str) -> tuple[str, Caller | None]:
    with runtime.database.writing() as session:
        logins = Logins(session)
        secret = logins.redeem(code)
        return secret, logins.caller(secret)


def _to_login() -> Response:
    return RedirectResponse("/login", status_code=303)


def _html(template: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(**values), status)
