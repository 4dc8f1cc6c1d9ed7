"""Errors become HTTP in this one place: class to status, and the one form of an error body."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from rankspace import errors
from rankspace.wire import encode
from service.storage.database_file import DatabaseLost
from service.web.tarrying import Tarrying

log = structlog.get_logger(__name__)

STATUS: Mapping[type[errors.RankspaceError], int] = MappingProxyType(
    {
        errors.UnreadableInput: 400,
        errors.InvalidInput: 422,
        errors.Unauthenticated: 401,
        errors.Forbidden: 403,
        errors.NotFound: 404,
        errors.Conflict: 409,
        errors.TooLarge: 413,
        errors.UnsupportedVersion: 426,
        errors.TooManyRequests: 429,
        errors.TrialFailed: 422,
        errors.Unreachable: 503,
    }
)
"""The first class an error is an instance of counts, so subclasses stand before their bases."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """Every answer that is not a success.

    Attributes:
        error: Class of the error.
        detail: What is wrong.
        hint: What to do about it; may be empty.
    """

    error: str
    detail: str
    hint: str


class Stalled(ClientDisconnect):
    """A body stopped arriving."""


def status_of(error: errors.RankspaceError) -> int:
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)


def answer(error: errors.RankspaceError) -> JSONResponse:
    """Render ``error``; 401 also names the scheme, 429 and 503 when to come back."""
    body = ErrorBody(type(error).__name__, error.detail, error.hint)
    wait = error.wait_seconds if isinstance(error, errors.TooManyRequests) else 1.0
    again = {"Retry-After": str(math.ceil(wait))}
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: again, 503: again}
    status = status_of(error)
    return JSONResponse(encode(body), status, headers=headers.get(status))


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have ``app``, made of ``routers``, answer every error in the one form.

    On the event loop: a refusal must not wait for a thread when there are too many requests.
    """
    app.state.tarrying = Tarrying()
    app.state.routes = [route for router in routers for route in router.routes]
    app.add_exception_handler(errors.RankspaceError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid_parameter)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _cut_off)
    app.add_exception_handler(Stalled, _stalled)
    for kind in (OperationalError, InternalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(DatabaseLost, _lost)
    app.add_exception_handler(DatabaseError, _damaged)
    app.add_exception_handler(IntegrityError, _overtaken)
    app.add_exception_handler(Exception, _unexpected)


async def _expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.RankspaceError)
    if isinstance(error, errors.TooManyRequests):
        await request.app.state.tarrying.wait(error.detail)
    return answer(error)


async def _invalid_parameter(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first: Mapping[str, Any] = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return answer(
        errors.InvalidInput(field, first.get("input"), first["msg"], fix=f"correct {field}")
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: unknown routes and methods."""
    assert isinstance(error, HTTPException)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    phrase = HTTPStatus(error.status_code).phrase
    hint = "GET /v1/openapi.json lists every route" if error.status_code in (404, 405) else ""
    name = "NotFound" if error.status_code == 404 else phrase.replace(" ", "")
    body = ErrorBody(name, phrase.lower(), hint)
    return JSONResponse(encode(body), error.status_code, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of the path: the framework names those of one route of it only."""
    found = (
        route.methods or ()
        for route in request.app.state.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return ", ".join(sorted(set[str]().union(*found)))


async def _cut_off(request: Request, _error: Exception) -> JSONResponse:
    """Networks fail and workers are killed: nothing is wrong here, and nobody hears the answer."""
    log.info("the body was cut off", path=request.url.path)
    return answer(errors.UnreadableInput("body", "", "was cut off", fix="send it again"))


async def _stalled(request: Request, _error: Exception) -> JSONResponse:
    """408, which workers take for a network that fails: they send it again."""
    log.info("the body stopped arriving", path=request.url.path)
    body = ErrorBody("Unreachable", "the body stopped arriving", "send it again")
    return JSONResponse(encode(body), 408, headers={"Connection": "close"})


async def _database(_request: Request, error: Exception) -> JSONResponse:
    log.error("database unavailable", error=str(error))
    return answer(errors.Unreachable("the database did not answer", hint="try again"))


async def _lost(_request: Request, error: Exception) -> JSONResponse:
    """It is in the log already, once and not for every request."""
    assert isinstance(error, DatabaseLost)
    return answer(errors.Unreachable(str(error), hint=error.hint))


async def _damaged(_request: Request, error: Exception) -> JSONResponse:
    """What SQLite raises for a damaged file is of no class of its own; the rest are defects."""
    if type(error) is not DatabaseError:
        raise error
    log.error("database cannot be read", error=str(error.orig))
    hint = "the service's log says what to do"
    return answer(errors.Unreachable("the database is damaged", hint=hint))


async def _overtaken(_request: Request, error: Exception) -> JSONResponse:
    """Two requests made the same thing at the same moment; the second try finds it made."""
    log.warning("overtaken by another request", error=str(error))
    return answer(errors.Unreachable("another request was quicker", hint="try again"))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    body = ErrorBody("InternalError", "unexpected error", "the service's log has the details")
    return JSONResponse(encode(body), 500)
