"""A study's page: its head, the tabs, and what the open one shows; made once for all who look."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from rankspace.study import OVER, RESUMABLE, StudyState
from service.access.caller import WRITERS, Caller
from service.insights.cache import PAGE
from service.insights.found import Made
from service.runtime import Runtime
from service.storage.events import Events
from service.storage.scope import EVERYTHING, Scope
from service.studies.repository import Studies
from service.studies.revision import Revision, revision_of
from service.studies.view import view
from service.web.pages.study.tab import Look, Tab, nothing_asked
from service.web.pages.templating import base_of, drawn, not_found, to_login
from service.web.threads import in_thread

PART = "x-part"
"""Header of who has the rest of the page already: what is between the tags of ``main``, alone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A look at a tab.

    Attributes:
        base: How the page names its siblings.
        study: Identity.
        tab: The tab.
        may_write: Whether who asks may change the study.
        more: What else the address says; with the rest it is what a drawing is kept under.
    """

    base: str
    study: str
    tab: Tab
    may_write: bool
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a button did nothing: what is wrong, with the field and its value, and the fix.

    Attributes:
        detail: What is wrong.
        hint: The fix; may be empty.
        action: Last part of the form's address.
        values: What was written into it, to be mended.
    """

    detail: str
    hint: str
    action: str
    values: Mapping[str, str]


async def tab_page(
    request: Request,
    runtime: Runtime,
    caller: Caller | None,
    study: str,
    tab: Tab,
    more: Mapping[str, str] = nothing_asked(),
) -> Response:
    """Answer with the tab, or only what is new of it."""
    base = base_of(request)
    if caller is None:
        return to_login(base)
    asked = Asked(base, study, tab, caller.role in WRITERS, tuple(sorted(more.items())))
    try:
        body = await _shared(runtime, asked, caller.scope)
    except NotFound as error:
        return not_found(base, error.detail)
    return part_of(request, body)


def part_of(request: Request, body: bytes) -> Response:
    """The whole page or, for a script that looks again, its middle; 304 where that is the same."""
    if PART not in request.headers:
        return HTMLResponse(body)
    end = b"</main>"
    middle = body[body.index(b"<main") : body.index(end) + len(end)]
    tag = f'"{hashlib.sha256(middle).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return HTMLResponse(middle, headers={"ETag": tag})


async def _shared(runtime: Runtime, asked: Asked, scope: Scope) -> bytes:
    look = partial(_look_at, runtime, asked.study, scope)
    now = await in_thread(runtime.insights.asked, look)
    of = (asked.study, asked.tab.template, asked.base, asked.may_write, asked.more)
    return await runtime.insights.shared(PAGE, of, now, partial(_made, runtime, asked))


def _look_at(runtime: Runtime, study: str, scope: Scope, session: Session) -> Revision:
    return revision_of(session, study, runtime.settings.active_worker_seconds, scope)


def _made(runtime: Runtime, asked: Asked, session: Session) -> Made[None]:
    """The same for everybody who may see the study and do as much with it."""
    revision = _look_at(runtime, asked.study, EVERYTHING, session)
    text, is_whole = draw(runtime, asked, session)
    return Made(revision, text.encode(), None, is_whole)


def draw(
    runtime: Runtime, asked: Asked, session: Session, refusal: Refusal | None = None
) -> tuple[str, bool]:
    """Draw the tab, under what was refused just now if something was; and whether it is whole."""
    row = Studies(session).get(asked.study)
    shown = view(session, row, runtime.settings.active_worker_seconds)
    found = asked.tab.sketch(Look(runtime, session, row, shown, dict(asked.more)))
    text = drawn(
        asked.tab.template,
        base=asked.base,
        study=shown,
        tab=asked.tab,
        may_write=asked.may_write,
        is_over=shown.state in OVER,
        is_done=shown.state is StudyState.DONE,
        can_resume=shown.state in RESUMABLE,
        last_event=Events(session).last(row.id),
        refusal=refusal,
        **found.values,
    )
    return text, found.is_whole
