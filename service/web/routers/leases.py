"""Routes of the lease protocol, for workers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from rankspace import Assignment
from rankspace.errors import LeaseLost
from rankspace.lease import Claim, Heartbeat, HeartbeatAnswer, Holding, Receipt, Release, Report
from service.access.caller import Caller, Role, WorkerIdentity
from service.leases.assignment import worded
from service.leases.uploads import ArtifactFile
from service.leases.workflow import check_protocol
from service.planning import queue
from service.planning.queue import settle
from service.runtime import Runtime
from service.web.auth import Identified, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import MAX_INTEGER, Service, TrialId
from service.web.threads import Threads, in_thread, threaded

COURTESY_SECONDS = 0.1
"""How long a claim waits for planning that others caused."""

SHARED_SECONDS = 0.5
"""How long a claim waits for the plans of its own results, where other workers bring results of the
same study: on theirs hangs as much which trial is next."""

HOLDERS = (Role.ADMIN, Role.WORKER)
Spoken = TypeVar("Spoken", Claim, Heartbeat, Report, Release)

router = APIRouter(
    prefix="/v1/leases",
    tags=["leases"],
    dependencies=[Depends(Threads.leases), Depends(require(HOLDERS, HOLDERS))],
    responses=refusals(401, 404, 409, 426, 429),
)


def _own(kind: type[Spoken]) -> Callable[[Caller, Spoken], Awaitable[Spoken]]:
    """Make the dependency that reads a body in the name of a worker the caller may speak for."""

    async def checked(
        caller: Identified, given: Annotated[Spoken, Depends(body_of(kind))]
    ) -> Spoken:
        caller.check_worker(given.worker)
        return given

    return checked


@router.post("", **route(Assignment, body=Claim, status=201, also={204: None}))
async def claim_trial(
    request: Request,
    runtime: Service,
    caller: Identified,
    claim: Annotated[Claim, Depends(_own(Claim))],
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> Response:
    """Lease the next trial, waiting up to ``wait`` seconds for one; 204 when there is none.

    First it waits for the planning that its own results caused, as far as that may change which
    trial is next, so that one worker always gets the same trials, and half a second where several
    share a study; and a moment for what else is planned of the next one's study, so that most
    offers know most results.
    """
    check_protocol(claim)
    await in_thread(_admit, runtime, caller, claim)
    patience = await _settled(runtime, caller, claim)
    assignment = await in_thread(_take, runtime, caller, claim)
    if assignment is None:
        asked = await in_thread(_ask_for_offers, runtime, caller, claim)
        if not wait:  # else it hears the bell, whatever else is being planned
            await settle(asked, patience)
            await settle(runtime.planning.under_way(), COURTESY_SECONDS)
        with runtime.limits.polling(caller):
            assignment = await _wait(request, runtime, caller, claim, wait)
    if assignment is None:
        return Response(status_code=204)
    return reply(worded(assignment, claim.protocol), 201)


async def _settled(runtime: Runtime, caller: Caller, claim: Claim) -> float:
    """Wait for the plans that the next trial hangs on; return the patience that is left."""
    planning, patience = runtime.planning, queue.PATIENCE_SECONDS
    while planning.under_way():
        own = planning.asked_by(claim.worker) if patience > 0.0 else {}
        choice = await in_thread(runtime.leases.choose, claim, caller.identity, tuple(own))
        if not choice.hangs_on:
            await settle(planning.under_way(choice.study), COURTESY_SECONDS)
            break
        if planning.is_shared(choice.hangs_on):
            patience = min(patience, SHARED_SECONDS)
        patience = await settle([own[study] for study in choice.hangs_on], patience)
    return patience


def _admit(runtime: Runtime, caller: Caller, claim: Claim) -> None:
    if claim.process is not None:
        study = runtime.leases.expire_orphan(claim.worker, claim.process, caller.identity)
        if study is not None:  # a trial given up as dead leaves room for another
            runtime.planning.ask(study, claim.worker)
    runtime.leases.admit(claim.worker, caller.identity)


def _take(runtime: Runtime, caller: Caller, claim: Claim) -> Assignment | None:
    able, speaks = claim.capabilities, claim.protocol
    has_work = runtime.leases.has_work(claim.worker, caller.identity, able, speaks)
    return runtime.leases.claim(claim, caller.identity) if has_work else None


def _ask_for_offers(runtime: Runtime, caller: Caller, claim: Claim) -> Sequence[Future[None]]:
    # There are as many offers as workers are seen, and what else asks for planning does so itself.
    able, speaks = claim.capabilities, claim.protocol
    is_new = runtime.leases.touch(claim.worker, caller.identity, speaks, able)
    return runtime.planning.ask_news() if is_new else ()


async def _wait(
    request: Request, runtime: Runtime, caller: Caller, claim: Claim, seconds: float
) -> Assignment | None:
    """Look at every ring, and now and then without one; waiting holds no thread and no session."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while True:
        seen = runtime.doorbell.rings
        assignment = await in_thread(_take, runtime, caller, claim)
        left = deadline - clock()
        if assignment or left <= 0 or runtime.doorbell.closed:
            return assignment
        await runtime.doorbell.wait(seen, min(left, runtime.settings.poll_seconds))
        if await request.is_disconnected():
            return None


@router.post("/{trial}/heartbeat", **route(HeartbeatAnswer, body=Heartbeat))
@threaded
def heartbeat(
    runtime: Service,
    caller: Identified,
    trial: TrialId,
    beat: Annotated[Heartbeat, Depends(_own(Heartbeat))],
) -> JSONResponse:
    """Renew the lease and hear what to do; 409 LeaseLost when the trial is someone else's."""
    return reply(runtime.leases.heartbeat(trial, beat, caller.identity))


@router.post("/{trial}/report", **route(Receipt, body=Report))
@threaded
def report(
    runtime: Service,
    caller: Identified,
    trial: TrialId,
    given: Annotated[Report, Depends(_own(Report))],
) -> JSONResponse:
    """Deliver the trial's one result; repeating it is safe."""
    try:
        receipt = runtime.leases.report(trial, given, caller.identity)
    except LeaseLost:
        runtime.artifacts.discard(trial, given)
        raise
    # Before the answer: the worker's next claim waits for it.
    runtime.planning.ask(given.study_id, given.worker)
    return reply(receipt)


@router.post("/{trial}/release", **route(None, body=Release, status=204))
@threaded
def release(
    runtime: Service,
    caller: Identified,
    trial: TrialId,
    given: Annotated[Release, Depends(_own(Release))],
) -> Response:
    """Give the trial back unfinished; another worker may take it.

    A ``reason`` why this one can run none of the study's trials keeps it from them for a while.
    """
    runtime.leases.release(trial, given, caller.identity)
    runtime.artifacts.discard(trial, given)
    return Response(status_code=204)


async def _holding(
    caller: Identified,
    worker: Annotated[str, Query(min_length=1, max_length=200)],
    token: Annotated[int, Query(ge=1, le=MAX_INTEGER)],
    study_id: Annotated[str, Query(max_length=20)],
) -> tuple[Holding, WorkerIdentity]:
    caller.check_worker(worker)
    return Holding(worker, token, study_id), caller.identity


@router.get(
    "/{trial}/adapter",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
@threaded
def read_adapter(
    runtime: Service,
    trial: TrialId,
    holding: Annotated[tuple[Holding, WorkerIdentity], Depends(_holding)],
) -> StreamingResponse:
    """Download the weights that a survey's further scores are taken on; 409 for other trials."""
    file, chunks = runtime.artifacts.adapter(trial, *holding)
    headers = {"Content-Length": str(file.bytes), "X-Content-SHA256": file.sha256}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


@router.put(
    "/{trial}/artifacts/{name}",
    **{
        **route(ArtifactFile, status=201),
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/octet-stream": {}}}
        },
    },
)
async def upload_artifact(
    request: Request,
    runtime: Service,
    trial: TrialId,
    name: str,
    holding: Annotated[tuple[Holding, WorkerIdentity], Depends(_holding)],
    x_content_sha256: Annotated[str, Header()],
) -> JSONResponse:
    """Upload one file of the trained adapter, before the report."""
    stored = await runtime.artifacts.upload(
        trial, *holding, name, x_content_sha256, request.stream()
    )
    return reply(stored, 201)
