"""Routes of workers and of login codes."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import structlog
from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from rankspace.errors import InvalidInput
from service.access.caller import READERS, Role
from service.access.logins import Logins
from service.web.auth import Identified, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import AfterName, Limit, Service, page, page_schema
from service.workers import quarantine
from service.workers.quarantine import LONGEST
from service.workers.repository import Workers
from service.workers.view import WorkerView, view

log = structlog.get_logger(__name__)

WorkerName: TypeAlias = Annotated[str, Path(max_length=200)]

router = APIRouter(
    prefix="/v1",
    tags=["workers"],
    dependencies=[Depends(require(READERS, READERS))],
    responses=refusals(401, 429),
)
admin_router = APIRouter(
    prefix="/v1/workers",
    tags=["workers"],
    dependencies=[Depends(require((Role.ADMIN,), (Role.ADMIN,)))],
    responses=refusals(401, 404, 429),
)


@dataclass(frozen=True, slots=True)
class LoginCode:
    """Good for one login on the status page within ten minutes."""

    code: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why a worker is to get no more trials."""

    reason: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.reason) <= LONGEST or not self.reason.isprintable():
            problem = f"must be 1 to {LONGEST} printable characters"
            raise InvalidInput("reason", self.reason, problem, fix="say why")


@router.get("/workers", **route(page_schema(WorkerView)))
def list_workers(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 100
) -> JSONResponse:
    """List workers by name, with their last sign of life; those of the project or once there."""
    with runtime.database.reading() as session:
        rows = Workers(session).page(after or "", limit + 1, caller.scope)
        found = [view(row) for row in rows]
    return reply(page(found, limit, lambda worker: worker.name))


@admin_router.post("/{worker}/quarantine", **route(WorkerView, body=Quarantine))
def quarantine_worker(
    runtime: Service,
    caller: Identified,
    worker: WorkerName,
    given: Annotated[Quarantine, Depends(body_of(Quarantine))],
) -> JSONResponse:
    """Give a worker no more trials; one that it holds it may finish and report."""
    with runtime.database.writing() as session:
        quarantine.shut_out(session, worker, given.reason, caller.scope)
        shown = view(Workers(session).get(worker))
    log.info("quarantined by hand", worker=worker, key=caller.key)
    return reply(shown)


@admin_router.post("/{worker}/reinstate", **route(WorkerView))
def reinstate_worker(runtime: Service, caller: Identified, worker: WorkerName) -> JSONResponse:
    """Give a worker trials again; what was held against it is forgotten."""
    with runtime.database.writing() as session:
        quarantine.reinstate(session, worker, caller.scope)
        shown = view(Workers(session).get(worker))
    log.info("reinstated", worker=worker, key=caller.key)
    return reply(shown)


@router.post("/login-codes", **route(LoginCode, status=201))
def make_login_code(runtime: Service, caller: Identified) -> JSONResponse:
    """Make a code that opens the status page in a browser once, as far as the key may read."""
    with runtime.database.writing() as session:
        code = Logins(session).offer(caller.key)
    return reply(LoginCode(code), 201)
