"""Routes of API keys."""

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from rankspace.errors import InvalidInput
from service.auth import require
from service.bodies import body_of, refusals, reply, route
from service.clock import timestamp
from service.keys import IssuedKey, Keys, Role
from service.routers.shared import AfterName, Limit, Service, page, page_schema

log = structlog.get_logger(__name__)

router = APIRouter(
    prefix="/v1/keys",
    tags=["keys"],
    dependencies=[Depends(require(Role.ADMIN))],
    responses=refusals(401, 403, 404, 409, 413, 422),
)


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """What a new key is for."""

    role: Role
    name: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 100 or not self.name.isprintable():
            problem = "must be 1 to 100 printable characters"
            raise InvalidInput("name", self.name, problem, fix="say who will use the key")


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its secret, which nobody knows any more."""

    id: str
    role: Role
    name: str
    created_at: str | None
    revoked_at: str | None


@router.post("", **route(IssuedKey, body=KeyOrder, status=201))
def issue_key(
    runtime: Service, order: Annotated[KeyOrder, Depends(body_of(KeyOrder))]
) -> JSONResponse:
    """Issue a key; its secret is in this answer and nowhere else."""
    with runtime.database.writing() as session:
        issued = Keys(session).issue(order.role, order.name)
    log.info("issued a key", key=issued.id, role=order.role.value)
    return reply(issued, 201)


@router.get("", **route(page_schema(KeyView)))
def list_keys(runtime: Service, after: AfterName = None, limit: Limit = 50) -> JSONResponse:
    """List keys by identity, revoked ones included."""
    with runtime.database.reading() as session:
        rows = Keys(session).page(after or "", limit + 1)
        found = [
            KeyView(
                row.id,
                Role(row.role),
                row.name,
                timestamp(row.created_at),
                timestamp(row.revoked_at),
            )
            for row in rows
        ]
    return reply(page(found, limit, lambda key: key.id))


@router.delete("/{key}", **route(None, status=204))
def revoke_key(runtime: Service, key: Annotated[str, Path(max_length=8)]) -> Response:
    """Let a key in no more; 409 for the last admin key."""
    with runtime.database.writing() as session:
        Keys(session).revoke(key)
    log.info("revoked a key", key=key)
    return Response(status_code=204)
