"""Routes of workers and of login codes."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from service.auth import require
from service.bodies import refusals, reply, route
from service.clock import timestamp
from service.keys import Role
from service.leases.schemas import WorkerView
from service.logins import Logins
from service.routers.shared import AfterName, Limit, Service, page, page_schema
from service.workers.repository import Workers

router = APIRouter(
    prefix="/v1",
    tags=["workers"],
    dependencies=[Depends(require(Role.ADMIN))],
    responses=refusals(401, 403, 422),
)


@dataclass(frozen=True, slots=True)
class LoginCode:
    """Good for one login on the status page within ten minutes."""

    code: str


@router.get("/workers", **route(page_schema(WorkerView)))
def list_workers(runtime: Service, after: AfterName = None, limit: Limit = 100) -> JSONResponse:
    """List workers by name, with their last sign of life."""
    with runtime.database.reading() as session:
        rows = Workers(session).page(after or "", limit + 1)
        found = [
            WorkerView(row.name, timestamp(row.first_seen), timestamp(row.last_seen))
            for row in rows
        ]
    return reply(page(found, limit, lambda worker: worker.name))


@router.post("/login-codes", **route(LoginCode, status=201))
def make_login_code(runtime: Service) -> JSONResponse:
    """Make a code that opens the status page in a browser once."""
    with runtime.database.writing() as session:
        code = Logins(session).offer()
    return reply(LoginCode(code), 201)
