"""Who may call a route: a key in the header, or for reading a browser session's cookie."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from rankspace.errors import Forbidden, Unauthenticated
from service.db import Database
from service.keys import Keys, Role
from service.logins import Logins
from service.runtime import Runtime, get_runtime

COOKIE = "rka_session"


def require(*roles: Role) -> Callable[[Request, Runtime], None]:
    """Make the dependency that lets only ``roles`` in."""

    def check(request: Request, runtime: Annotated[Runtime, Depends(get_runtime)]) -> None:
        role = _role(request, runtime.database)
        if role not in roles:
            names = " or ".join(roles)
            raise Forbidden(f"a {role} key may not do that", hint=f"use a key of role {names}")

    return check


def has_session(request: Request, database: Database) -> bool:
    """Whether the request carries the cookie of an open browser session."""
    secret = request.cookies.get(COOKIE)
    if not secret:
        return False
    with database.reading() as session:
        return Logins(session).is_open(secret)


def _role(request: Request, database: Database) -> Role:
    header = request.headers.get("authorization", "")
    scheme, _, key = header.partition(" ")
    if scheme.lower() == "bearer":
        with database.reading() as session:
            return Keys(session).role_of(key.strip())
    if request.method == "GET" and has_session(request, database):
        return Role.ADMIN
    raise Unauthenticated("no key was sent", hint="send Authorization: Bearer rka_…")
