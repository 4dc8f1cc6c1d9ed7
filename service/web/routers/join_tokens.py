"""Routes of join tokens, for admins, and of joining, for whoever has a token."""

from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse

from rankspace.errors import InvalidInput
from rankspace.lease import check_name
from service.access.caller import Caller, Role
from service.access.keys import IssuedKey
from service.storage.clock import timestamp
from service.storage.scope import Scope
from service.storage.tables import JoinTokenRow
from service.web.auth import Identified, admit_stranger, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers import keys
from service.web.routers.keys import KeyOrder
from service.web.routers.shared import AfterName, Limit, Service, page, page_schema
from service.workers.join_tokens import IssuedToken, JoinTokens, join

log = structlog.get_logger(__name__)

MAX_USES = 1_000
MAX_HOURS = 24.0 * 365

router = APIRouter(
    prefix="/v1/join-tokens",
    tags=["keys"],
    dependencies=[Depends(require((Role.ADMIN,), (Role.ADMIN,)))],
    responses=refusals(401, 404, 429),
)
open_router = APIRouter(
    prefix="/v1/workers",
    tags=["workers"],
    dependencies=[Depends(admit_stranger)],
    responses=refusals(401, 409, 429),
)


@dataclass(frozen=True, slots=True)
class JoinOrder:
    """What a new join token is for.

    Attributes:
        name: What for, for the list.
        project: Of the workers that join with it; as for a worker's key.
        uses: How many workers may join.
        hours: How long.
    """

    name: str
    project: str | None = None
    uses: int = 1
    hours: float = 24.0

    def __post_init__(self) -> None:
        self.key_order()
        if not 1 <= self.uses <= MAX_USES:
            fix = f"use 1 to {MAX_USES}"
            raise InvalidInput("uses", self.uses, "is no number of workers", fix=fix)
        if not 0 < self.hours <= MAX_HOURS:
            problem = f"must be above 0, at most {MAX_HOURS:.0f}"
            raise InvalidInput("hours", self.hours, problem, fix="leave it out for a day")

    def key_order(self) -> KeyOrder:
        """The same for the keys it will make: their rules hold for both."""
        return KeyOrder(Role.WORKER, self.name, self.project)


@dataclass(frozen=True, slots=True)
class JoinTokenView:
    """A join token without its secret, which nobody knows any more."""

    id: str
    name: str
    project: str
    uses_left: int
    created_at: str | None
    expires_at: str | None
    revoked_at: str | None


@dataclass(frozen=True, slots=True)
class Joining:
    """A worker shows its token and says what it is called."""

    token: str
    worker: str

    def __post_init__(self) -> None:
        check_name(self.worker)


def _view(row: JoinTokenRow) -> JoinTokenView:
    return JoinTokenView(
        id=row.id,
        name=row.name,
        project=row.project,
        uses_left=row.uses_left,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
        revoked_at=timestamp(row.revoked_at),
    )


@router.post("", **route(IssuedToken, body=JoinOrder, status=201))
def issue_join_token(
    runtime: Service, caller: Identified, order: Annotated[JoinOrder, Depends(body_of(JoinOrder))]
) -> JSONResponse:
    """Issue a join token; its secret is in this answer and nowhere else."""
    project = order.key_order().project_for(caller)
    with runtime.database.writing() as session:
        issued = JoinTokens(session).issue(order.name, project, order.uses, order.hours)
    log.info("issued a join token", id=issued.id, project=project, uses=order.uses)
    return reply(issued, 201, at=f"{router.prefix}/{issued.id}")


@router.get("", **route(page_schema(JoinTokenView)))
def list_join_tokens(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 50
) -> JSONResponse:
    """List join tokens by identity, those that are good no more included."""
    with runtime.database.reading() as session:
        rows = JoinTokens(session).page(after or "", limit + 1, caller.scope)
        found = [_view(row) for row in rows]
    return reply(page(found, limit, lambda token: token.id))


@router.delete("/{token}", **route(None, status=204))
def revoke_join_token(
    runtime: Service, caller: Identified, token: Annotated[str, Path(max_length=8)]
) -> Response:
    """Let a token make no more keys; those it made stay good."""
    with runtime.database.writing() as session:
        JoinTokens(session).revoke(token, caller.scope)
    log.info("revoked a join token", id=token)
    return Response(status_code=204)


@open_router.post("/join", **route(IssuedKey, body=Joining, status=201))
def join_worker(
    request: Request, runtime: Service, given: Annotated[Joining, Depends(body_of(Joining))]
) -> JSONResponse:
    """Exchange a join token for a key of the worker's own; the key is in this answer only."""
    with runtime.database.reading() as session:  # strangers must not make writers wait
        known = JoinTokens(session).check(given.token)
    # For the audit: the token acts here.
    request.state.caller = Caller(known.id, Role.WORKER, Scope(known.project), given.worker)
    with runtime.database.writing() as session:
        issued = join(session, given.token, given.worker)
    log.info("a worker joined", worker=given.worker, key=issued.id, join=known.id)
    return reply(issued, 201, at=f"{keys.router.prefix}/{issued.id}")
