"""Route of the audit."""

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from service.access.caller import Role
from service.web.audit import Audit, Entry
from service.web.auth import Identified, require
from service.web.bodies import refusals, reply, route
from service.web.routers.shared import After, Limit, Service, page, page_schema

router = APIRouter(
    prefix="/v1/audit",
    tags=["audit"],
    dependencies=[Depends(require((Role.ADMIN,), (Role.ADMIN,)))],
    responses=refusals(401, 429),
)


@router.get("", **route(page_schema(Entry)))
def list_audit(
    runtime: Service, caller: Identified, after: After = 0, limit: Limit = 100
) -> JSONResponse:
    """List what people changed, or tried to, oldest first."""
    with runtime.database.reading() as session:
        found = Audit(session).after(after, limit + 1, caller.scope)
    return reply(page(found, limit, lambda entry: entry.id))
