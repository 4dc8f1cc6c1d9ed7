"""Routes of workers and of login codes."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from service.auth import Identified, require
from service.bodies import refusals, reply, route
from service.caller import READERS
from service.clock import timestamp
from service.leases.schemas import WorkerView
from service.logins import Logins
from service.routers.shared import AfterName, Limit, Service, page, page_schema
from service.workers.repository import Workers

router = APIRouter(
    prefix="/v1",
    tags=["workers"],
    dependencies=[Depends(require(READERS, READERS))],
    responses=refusals(401, 429),
)


@dataclass(frozen=True, slots=True)
class LoginCode:
    """Good for one login on the status page within ten minutes."""

    code: str


@router.get("/workers", **route(page_schema(WorkerView)))
def list_workers(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 100
) -> JSONResponse:
    """List workers by name, with their last sign of life; those that worked for the project."""
    with runtime.database.reading() as session:
        rows = Workers(session).page(after or "", limit + 1, caller.scope)
        found = [
            WorkerView(row.name, timestamp(row.first_seen), timestamp(row.last_seen))
            for row in rows
        ]
    return reply(page(found, limit, lambda worker: worker.name))


@router.post("/login-codes", **route(LoginCode, status=201))
def make_login_code(runtime: Service, caller: Identified) -> JSONResponse:
    """Make a code that opens the status page in a browser once, as far as the key may read."""
    with runtime.database.writing() as session:
        code = Logins(session).offer(caller.key)
    return reply(LoginCode(code), 201)
