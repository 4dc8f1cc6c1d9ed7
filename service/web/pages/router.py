"""The status page: HTML to read, a login form, and nothing that changes a study."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.orm import Session

from rankspace.calibration import Calibration
from rankspace.errors import NotFound, Unauthenticated, Unreachable, UnreadableInput
from rankspace.front import Front
from rankspace.presets.paper import sentence
from rankspace.study import OVER
from service.access.caller import Caller
from service.access.logins import Logins
from service.insights.cache import LIST, PAGE, Insight
from service.insights.found import Made
from service.insights.knowledge import Computing
from service.runtime import Runtime
from service.storage.documents import space_of
from service.storage.events import Events
from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import StudyRow
from service.studies.recovered import recovered
from service.studies.repository import Studies
from service.studies.revision import Revision, revision_of, revision_of_page
from service.studies.view import StudyView, view, views
from service.trials.repository import Trials
from service.web.auth import Reader, admit_stranger
from service.web.browser import check_origin, clear_cookie, cookie, set_cookie
from service.web.pages import agreement, price
from service.web.pages.charts import HEIGHT, WIDTH, curve, grid, strip
from service.web.pages.words import duration, percent, recovered_losses, verdict_words
from service.web.routers.shared import Service
from service.web.threads import in_thread

PAGE_PATIENCE_SECONDS = 0.15
"""How long a page waits for what was never computed; the next look shows it."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
LISTED = 100
FIELDS = 8

TOP, BELOW = "", "../"
"""How a page names its siblings: relatively, so below whatever path a proxy shows the service."""

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
async def list_page(runtime: Service, caller: Reader) -> Response:
    if caller is None:
        return _to_login(TOP)
    look = partial(_look_at_list, runtime, caller.scope)
    asked = await in_thread(runtime.insights.asked, look)
    draw = partial(_listed, runtime, caller.scope)
    of = "as a page", caller.scope.project
    return HTMLResponse(await runtime.insights.shared(LIST, of, asked, draw))


def _look_at_list(runtime: Runtime, scope: Scope, session: Session) -> Revision:
    """The page also says which event it knows of, of whatever study."""
    active = runtime.settings.active_worker_seconds
    found = revision_of_page(session, None, LISTED, scope, active)
    return replace(found, rest=(*found.rest, Events(session).last_in(scope)))


def _listed(runtime: Runtime, scope: Scope, session: Session) -> Made[None]:
    """The same for everybody who sees so far."""
    active = runtime.settings.active_worker_seconds
    rows = Studies(session).page(None, LISTED, scope)
    drawn = _templates.get_template("studies.html").render(
        base=TOP, studies=views(session, rows, active), last_event=Events(session).last_in(scope)
    )
    return Made(_look_at_list(runtime, scope, session), drawn.encode(), None)


@router.get("/studies/{study}")
async def study_page(
    runtime: Service, caller: Reader, study: Annotated[str, PathParameter(max_length=20)]
) -> Response:
    if caller is None:
        return _to_login(BELOW)
    try:
        return HTMLResponse(await _study_page(runtime, study, caller))
    except NotFound as error:
        return _html("message.html", BELOW, status=404, title="Not found", text=error.detail)


async def _study_page(runtime: Runtime, study: str, caller: Caller) -> bytes:
    look = partial(_look_at_study, runtime, study, caller.scope)
    asked = await in_thread(runtime.insights.asked, look)
    return await runtime.insights.shared(PAGE, study, asked, partial(_drawn, runtime, study))


def _look_at_study(runtime: Runtime, study: str, scope: Scope, session: Session) -> Revision:
    return revision_of(session, study, runtime.settings.active_worker_seconds, scope)


def _drawn(runtime: Runtime, study: str, session: Session) -> Made[None]:
    """The same for everybody who may see the study."""
    revision = _look_at_study(runtime, study, EVERYTHING, session)
    row = Studies(session).get(study)
    looks = [_look(runtime, kind, study) for kind in ("front", "calibration")]
    front, calibration = (look.found for look in looks)
    drawn = _templates.get_template("study.html").render(
        base=BELOW,
        **_shown(runtime, session, row),
        **_predicted(front.value if front else None, calibration.value if calibration else None),
        is_computing=any(look.found is None and not look.problem for look in looks),
        problem=next((look.problem for look in looks if look.problem), ""),
        age=max((one.age_seconds for one in (front, calibration) if one), default=0.0),
    )
    is_whole = all(one is not None and not one.age_seconds for one in (front, calibration))
    return Made(revision, drawn.encode(), None, is_whole)


def _shown(runtime: Runtime, session: Session, row: StudyRow) -> dict[str, Any]:
    """What the database says."""
    shown, space = view(session, row, runtime.settings.active_worker_seconds), space_of(row.space)
    trials = Trials(session)
    return {
        "study": shown,
        "preset": sentence(shown.study),
        "is_over": shown.state in OVER,
        "last_event": Events(session).last(row.id),
        "space": space,
        "curve": curve(trials.search_scores(row.id), shown.uniform_score),
        "trials": trials.newest(row.id, LISTED),
        **_judged(shown),
        "evaluated": recovered(session, row),
    }


def _judged(shown: StudyView) -> dict[str, Any]:
    """What it may claim, in words, and what was recovered to say so."""
    verdict = shown.verdict
    if verdict is None:
        return {"words": (), "recovered": ()}
    awaited = verdict.awaited(shown.study.verify.at, is_over=shown.state in OVER)
    recovered = recovered_losses(verdict.recipe) if verdict.recipe else ()
    return {"words": verdict_words(verdict, awaited), "recovered": recovered}


def _predicted(front: Front | None, calibration: Calibration | None) -> dict[str, Any]:
    """What the model says."""
    return {
        "front": front,
        "prices": price.price(front),
        "price_frame": price,
        "calibration": calibration,
        "agrees": agreement.agreement(calibration) if calibration else None,
        "agreement_frame": agreement,
    }


@dataclass(frozen=True, slots=True)
class _Look:
    """An insight, or why there is none; neither while it is being computed."""

    found: Insight | None = None
    problem: str = ""


def _look(runtime: Runtime, kind: str, study: str) -> _Look:
    """What is known soon enough for a page."""
    try:
        return _Look(runtime.insights.insight_now(kind, study, PAGE_PATIENCE_SECONDS))
    except Computing:
        return _Look()
    except Unreachable as error:  # all else on the page is known
        return _Look(problem=f"{error.detail}; {error.hint}")


@router.get("/login", dependencies=[Depends(admit_stranger)])
def login_page(code: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Show the form: only its button uses the code up, so that a link preview does not."""
    return _html("login.html", TOP, code=code, problem="")


@router.post("/login", dependencies=[Depends(admit_stranger)])
async def login(request: Request, runtime: Service) -> Response:
    check_origin(request, runtime.settings)
    code = _code(await request.body())
    try:
        secret, request.state.caller = await run_in_threadpool(_redeem, runtime, code)
    except Unauthenticated as error:
        return _html("login.html", TOP, status=401, code="", problem=error.detail)
    answer = RedirectResponse("./", status_code=303)
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
    answer = _to_login(TOP)
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


def _to_login(base: str) -> Response:
    return RedirectResponse(f"{base}login", status_code=303)


def _html(template: str, base: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(template).render(base=base, **values), status)
