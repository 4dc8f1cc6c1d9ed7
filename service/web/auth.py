"""Who may call a route: a key in the header, or for reading a browser session's cookie."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeAlias

import structlog
from fastapi import Depends, Query, Request
from sqlalchemy.exc import SQLAlchemyError

from rankspace.errors import Forbidden, Unauthenticated
from service.access.caller import Caller, Role
from service.access.keys import Keys, digest
from service.access.logins import Logins
from service.runtime import Runtime, get_runtime
from service.settings import Settings
from service.storage.db import Database
from service.web.browser import cookie
from service.web.threads import in_thread, threaded

log = structlog.get_logger(__name__)

READING = ("GET", "HEAD")


def identify(request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]) -> Caller:
    """Tell who asks.

    Raises:
        Unauthenticated: No key, no session, or one that is not valid.
        TooManyRequests: The key's share is used up, or that of the address.
    """
    try:
        caller = _caller(request, runtime)
    except Unauthenticated:
        _count_stranger(request, runtime)
        raise
    runtime.limits.admit(caller, _shown(request, runtime))
    request.state.caller = caller
    return caller


async def get_caller(request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]) -> Caller:
    """As ``identify``; as a dependency, so it is the same answer for the whole request.

    Who has used up its share is told so again without a thread: those are for the others.
    """
    runtime.limits.heed(_shown(request, runtime))
    return await in_thread(identify, request, runtime)


def _shown(request: Request, runtime: Runtime) -> str:
    """Digest of the secret that the request shows, valid or not; empty without one."""
    secret = _bearer(request) or cookie(request, runtime.settings)
    return digest(secret) if secret else ""


async def admit_stranger(
    request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]
) -> None:
    """Count a request of whoever needs no key. As a dependency: before its body is read.

    It takes no thread: those are for whoever has a key.

    Raises:
        TooManyRequests: The share of the address is used up.
    """
    _count_stranger(request, runtime)


def _count_stranger(request: Request, runtime: Runtime) -> None:
    runtime.limits.admit_stranger(request.client.host if request.client else "unknown")


def _caller(request: Request, runtime: Runtime) -> Caller:
    caller = _by_key(request, runtime.database) or _by_session(request, runtime)
    if caller is None:
        raise Unauthenticated("no key was sent", hint="send Authorization: Bearer rka_…")
    return caller


Identified: TypeAlias = Annotated[Caller, Depends(get_caller)]


@threaded
def get_reader(
    request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]
) -> Caller | None:
    """Tell whose browser asks for a page; None for one that has to log in first.

    Raises:
        TooManyRequests: As ``identify`` does.
    """
    caller = session_caller(request, runtime)
    if caller is None:
        _count_stranger(request, runtime)
    else:
        runtime.limits.admit(caller)
        request.state.caller = caller
    return caller


Reader: TypeAlias = Annotated[Caller | None, Depends(get_reader)]


def require(
    read: Sequence[Role], write: Sequence[Role]
) -> Callable[[Request, Caller], Awaitable[None]]:
    """Make the dependency that lets ``read`` in to look and ``write`` to change something."""

    async def check(request: Request, caller: Identified) -> None:
        roles = read if request.method in READING else write
        if caller.role not in roles:
            names = " or ".join(roles)
            raise Forbidden(
                f"a {caller.role} key may not do that", hint=f"use a key of role {names}"
            )

    return check


async def _target(
    caller: Identified, project: Annotated[str | None, Query(max_length=200)] = None
) -> str:
    return caller.target(project)


Target: TypeAlias = Annotated[str, Depends(_target)]
"""Project of what the request makes: the caller's, or the one a key of all projects names."""


def session_caller(request: Request, runtime: Runtime) -> Caller | None:
    """The owner of the request's cookie, if that is of an open browser session."""
    secret = cookie(request, runtime.settings)
    if not secret:
        return None
    with runtime.database.reading() as session:
        return Logins(session).caller(secret)


def session_digest(request: Request, settings: Settings) -> str | None:
    """Digest of the browser session that let the request in; None where a key did."""
    secret = cookie(request, settings)
    return digest(secret) if secret and _bearer(request) is None else None


def _by_session(request: Request, runtime: Runtime) -> Caller | None:
    return session_caller(request, runtime) if request.method in READING else None


def _by_key(request: Request, database: Database) -> Caller | None:
    key = _bearer(request)
    if key is None:
        return None
    with database.reading() as session:
        caller, is_used_anew = Keys(session).caller(key)
    if is_used_anew:
        _note_use(database, caller.key)
    return caller


def _bearer(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _note_use(database: Database, key: str) -> None:
    """Note it where that is possible: a full disk must not keep people from reading."""
    try:
        with database.writing() as session:
            Keys(session).note_use(key)
    except SQLAlchemyError as error:
        log.warning("the use of a key was not noted", key=key, problem=str(error))
