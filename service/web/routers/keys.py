"""Routes of API keys."""

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from rankspace.errors import Forbidden, InvalidInput
from service.access.caller import Caller, Role
from service.access.keys import IssuedKey, Keys
from service.storage.clock import timestamp
from service.storage.scope import ALL, DEFAULT_PROJECT, check_project
from service.storage.tables import KeyRow
from service.web.auth import Identified, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import AfterName, Limit, Service, page, page_schema

log = structlog.get_logger(__name__)

MAX_DAYS = 36_500
OF_ALL = (Role.ADMIN, Role.WORKER)
"""Roles whose keys may be of all projects."""

router = APIRouter(
    prefix="/v1/keys",
    tags=["keys"],
    dependencies=[Depends(require((Role.ADMIN,), (Role.ADMIN,)))],
    responses=refusals(401, 404, 409, 429),
)


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """What a new key is for.

    Attributes:
        role: What it may do.
        name: Who will use it.
        project: Where; ``*`` is everywhere, for admins and workers only. Without it an admin key
            is of as much as the one that orders it, any other of the project ``default`` or the
            ordering key's own.
        days: How long it lets in; without it, until it is revoked.
    """

    role: Role
    name: str
    project: str | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 100 or not self.name.isprintable():
            problem = "must be 1 to 100 printable characters"
            raise InvalidInput("name", self.name, problem, fix="say who will use the key")
        if self.days is not None and not 0 < self.days <= MAX_DAYS:
            fix = "leave it out for a key that never expires"
            raise InvalidInput("days", self.days, f"must be above 0, at most {MAX_DAYS}", fix=fix)
        if self.project == ALL and self.role not in OF_ALL:
            problem = f"a {self.role} key is of one project"
            raise InvalidInput("project", ALL, problem, fix="name the project")
        if self.project not in (None, ALL):
            check_project(self.project)

    def project_for(self, orderer: Caller) -> str:
        """Return the new key's project, which reaches no further than its orderer.

        Raises:
            Forbidden: It would.
        """
        own = orderer.scope.project
        usual = DEFAULT_PROJECT if own == ALL and self.role is not Role.ADMIN else own
        wanted = self.project or usual
        if not orderer.scope.admits(wanted):
            hint = "order keys of your own project"
            raise Forbidden(f"a key of project {own!r} issues no key of {wanted!r}", hint=hint)
        return wanted


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without its secret, which nobody knows any more; ``last_used_at`` is a minute exact.

    One with a ``worker`` is bound to the worker of that name.
    """

    id: str
    role: Role
    name: str
    project: str
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    worker: str | None


def _view(row: KeyRow) -> KeyView:
    return KeyView(
        id=row.id,
        role=Role(row.role),
        name=row.name,
        project=row.project,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
        last_used_at=timestamp(row.last_used_at),
        revoked_at=timestamp(row.revoked_at),
        worker=row.worker,
    )


@router.post("", **route(IssuedKey, body=KeyOrder, status=201))
def issue_key(
    runtime: Service, caller: Identified, order: Annotated[KeyOrder, Depends(body_of(KeyOrder))]
) -> JSONResponse:
    """Issue a key; its secret is in this answer and nowhere else."""
    project = order.project_for(caller)
    with runtime.database.writing() as session:
        issued = Keys(session).issue(order.role, order.name, project, order.days)
    log.info("issued a key", key=issued.id, role=order.role.value, project=project)
    return reply(issued, 201, at=f"{router.prefix}/{issued.id}")


@router.get("", **route(page_schema(KeyView)))
def list_keys(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 50
) -> JSONResponse:
    """List keys by identity, revoked ones included."""
    with runtime.database.reading() as session:
        rows = Keys(session).page(after or "", limit + 1, caller.scope)
        found = [_view(row) for row in rows]
    return reply(page(found, limit, lambda key: key.id))


@router.delete("/{key}", **route(None, status=204))
def revoke_key(
    runtime: Service, caller: Identified, key: Annotated[str, Path(max_length=8)]
) -> Response:
    """Let a key in no more; 409 for the last admin key."""
    with runtime.database.writing() as session:
        Keys(session).revoke(key, caller.scope)
    log.info("revoked a key", key=key)
    return Response(status_code=204)
