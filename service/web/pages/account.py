"""Logging in and out: a form, a one-time code, a cookie."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from rankspace.errors import Unauthenticated, UnreadableInput
from service.access.caller import Caller
from service.access.logins import Logins
from service.runtime import Runtime
from service.web.auth import Reader, admit_stranger
from service.web.browser import check_origin, clear_cookie, cookie, set_cookie
from service.web.pages.templating import html, to_login
from service.web.routers.shared import Service

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
FIELDS = 8


@router.get("/login", dependencies=[Depends(admit_stranger)])
def login_page(code: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Show the form: only its button uses the code up, so that a link preview does not."""
    return html("login.html", "", code=code, problem="")


@router.post("/login", dependencies=[Depends(admit_stranger)])
async def login(request: Request, runtime: Service) -> Response:
    check_origin(request, runtime.settings)
    code = _code(await request.body())
    try:
        secret, request.state.caller = await run_in_threadpool(_redeem, runtime, code)
    except Unauthenticated as error:
        return html("login.html", "", status=401, code="", problem=error.detail)
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
    answer = to_login("")
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
