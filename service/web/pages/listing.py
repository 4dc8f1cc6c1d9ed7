"""The list of studies, found by name and state, with what each has come to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rankspace.study import StudyState
from service.insights.cache import LIST
from service.insights.found import Made
from service.runtime import Runtime
from service.storage.events import Events
from service.storage.scope import Scope
from service.storage.tables import StudyRow
from service.studies.repository import Studies
from service.studies.revision import Revision, revision_of_page
from service.studies.view import StudyView, views
from service.web.auth import Reader
from service.web.pages.study.page import part_of
from service.web.pages.templating import drawn, to_login
from service.web.routers.shared import Service
from service.web.threads import in_thread

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
LISTED = 100
LONGEST = 100
"""Characters of a part of a name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which studies, in which order; empty for all of them, the newest first."""

    name: str = ""
    state: str = ""
    order: str = ""

    @property
    def conditions(self) -> tuple[Any, ...]:
        named = StudyRow.name.icontains(self.name, autoescape=True)
        is_in = StudyRow.state == self.state
        return (*([named] if self.name else ()), *([is_in] if self.state else ()))


def gain(study: StudyView) -> float | None:
    """By how much its vector leads uniform ranks: verified, else in scores that flatter it."""
    if study.verdict is not None:
        return study.verdict.versus_uniform.gain
    if study.best is None or study.uniform_score is None:
        return None
    return study.best.score - study.uniform_score


def _by_gain(study: StudyView) -> float:
    found = gain(study)
    return float("inf") if found is None else -found


def _by_time_left(study: StudyView) -> float:
    return float("inf") if study.eta_seconds is None else study.eta_seconds


ORDERS: Mapping[str, Callable[[StudyView], Any]] = MappingProxyType(
    {
        "gain": _by_gain,
        "name": lambda study: study.name.lower(),
        "state": lambda study: [*StudyState].index(study.state),
        "time left": _by_time_left,
    }
)
"""Beside the newest first."""


def _wanted(
    name: Annotated[str, Query(max_length=LONGEST)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    order: Annotated[str, Query(max_length=20)] = "",
) -> Wanted:
    """What the address asks for; what nobody knows counts as not asked."""
    known = state if state in [*StudyState] else ""
    return Wanted(name.strip(), known, order if order in ORDERS else "")


@router.get("/")
async def list_page(
    request: Request,
    runtime: Service,
    caller: Reader,
    wanted: Annotated[Wanted, Depends(_wanted)],
) -> Response:
    if caller is None:
        return to_login("")
    look = partial(_look_at_list, runtime, caller.scope, wanted)
    asked = await in_thread(runtime.insights.asked, look)
    draw = partial(_listed, runtime, caller.scope, wanted)
    of = "as a page", caller.scope.project, wanted
    return part_of(request, await runtime.insights.shared(LIST, of, asked, draw))


def _look_at_list(runtime: Runtime, scope: Scope, wanted: Wanted, session: Session) -> Revision:
    """The page also says which event it knows of, of whatever study."""
    active = runtime.settings.active_worker_seconds
    found = revision_of_page(session, None, LISTED, scope, active, wanted.conditions)
    return replace(found, rest=(*found.rest, Events(session).last_in(scope)))


def _listed(runtime: Runtime, scope: Scope, wanted: Wanted, session: Session) -> Made[None]:
    """The same for everybody who sees so far."""
    active = runtime.settings.active_worker_seconds
    rows = Studies(session).page(None, LISTED, scope, wanted.conditions)
    text = drawn(
        "studies.html",
        base="",
        studies=_ordered(views(session, rows, active), wanted.order),
        gain=gain,
        total=_count(session, scope, wanted),
        wanted=wanted,
        orders=[*ORDERS],
        states=[*StudyState],
        last_event=Events(session).last_in(scope),
    )
    return Made(_look_at_list(runtime, scope, wanted, session), text.encode(), None)


def _ordered(found: Sequence[StudyView], order: str) -> Sequence[StudyView]:
    return sorted(found, key=ORDERS[order]) if order else found


def _count(session: Session, scope: Scope, wanted: Wanted) -> int:
    mine = select(func.count()).select_from(StudyRow).where(scope.bounds(StudyRow.project))
    return int(session.scalar(mine.where(*wanted.conditions)) or 0)
