"""Routes for supervisors: is the process alive, may it be asked."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from rankspace.errors import Unreachable
from service.housekeeping import Housekeeping
from service.web.bodies import refusals, reply, route
from service.web.errors import ErrorBody
from service.web.routers.shared import Service

router = APIRouter(tags=["health"], responses=refusals())


@dataclass(frozen=True, slots=True)
class Health:
    """The body of a probe that went well."""

    status: str


@router.get("/livez", **route(Health))
async def livez() -> JSONResponse:
    """Answer as long as the event loop turns."""
    return reply(Health("alive"))


@router.get("/readyz", **route(Health, also={503: ErrorBody}))
async def readyz(request: Request, runtime: Service) -> JSONResponse:
    """Answer when the database can be written, its schema is current and the threads work."""
    await runtime.readiness.check()
    housekeeping: Housekeeping = request.app.state.housekeeping
    is_alive = housekeeping.is_alive and runtime.planning.is_alive
    if not is_alive or runtime.doorbell.closed:
        raise Unreachable("the service is not ready", hint="try again")
    if housekeeping.is_late:
        problem = f"housekeeping has not succeeded for {housekeeping.age:.0f} seconds"
        raise Unreachable(problem, hint="see the service's log")
    return reply(Health("ready"))
