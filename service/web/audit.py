"""Audit: who did what to this service. Written once per change, never changed, without bodies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankspace.redaction import blank
from service.access.caller import Caller
from service.storage import scope as scopes
from service.storage.clock import timestamp
from service.storage.db import Database
from service.storage.tables import AuditRow, table_of
from service.web.auth import READING

log = structlog.get_logger(__name__)

LEASES = "/v1/leases"
"""Workers' traffic: the events of each study tell it."""

_RECORD = insert(table_of(AuditRow))
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, or the attempt at one.

    Attributes:
        id: Rises with time.
        at: When.
        key: Of the caller; ``GET /v1/keys`` tells whose it is.
        role: Of the caller.
        project: Of the caller; ``*`` for a key of all projects.
        method: Of the request.
        route: Its template.
        object: What it was about, or what it made.
        status: Of the answer.
    """

    id: int
    at: str | None
    key: str
    role: str
    project: str
    method: str
    route: str
    object: str
    status: int


class Audit:
    """The only place that touches the audit table."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, caller: Caller, request: Mapping[str, Any]) -> None:
        who = {"key_id": caller.key, "role": caller.role.value, "project": caller.scope.project}
        self._session.execute(_RECORD, {**who, **request})

    def after(self, cursor: int, limit: int, scope: scopes.Scope) -> list[Entry]:
        """List what callers of the scope did, oldest first."""
        mine = select(AuditRow).where(AuditRow.id > cursor, scope.bounds(AuditRow.project))
        return [
            Entry(
                id=row.id,
                at=timestamp(row.created_at),
                key=row.key_id,
                role=row.role,
                project=row.project,
                method=row.method,
                route=row.route,
                object=row.object,
                status=row.status,
            )
            for row in self._session.scalars(mine.order_by(AuditRow.id).limit(limit))
        ]


class AuditTrail:
    """Records every change before its answer goes out: what was answered is on record."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
            return

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._note(scope, message["status"], Headers(raw=message["headers"]))
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except Exception:
            await self._note(scope, 500, Headers())
            raise

    async def _note(self, scope: Scope, status: int, headers: Headers) -> None:
        caller, route = scope.get("state", {}).get("caller"), scope.get("route")
        path = getattr(route, "path", "")
        if isinstance(caller, Caller) and not path.startswith(LEASES):
            request = {"method": scope["method"], "route": path, "status": status}
            request["object"] = _object(scope, headers)
            await run_in_threadpool(self._write, caller, request)

    def _write(self, caller: Caller, request: Mapping[str, Any]) -> None:
        try:
            with self._database.writing() as session:
                Audit(session).record(caller, request)
        except SQLAlchemyError as error:  # the change is made: its caller must hear of it
            log.error("not in the audit", key=caller.key, **request, problem=str(error))


def _object(scope: Scope, headers: Headers) -> str:
    """What the path names or, for something new, where it is now."""
    made = headers.get("location", "").rpartition("/")[2]
    named = " ".join(str(value) for value in scope.get("path_params", {}).values())
    return blank(named or made)[:_LONGEST]
