"""Routes of what a study's performance model knows, and how far it may be believed."""

import asyncio
from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from rankspace.calibration import Calibration, Noise
from rankspace.errors import Unreachable
from rankspace.front import Front
from service.access.caller import READERS, WRITERS
from service.insights.calibration import study_calibration, study_noise
from service.insights.front import front_of, known_front
from service.insights.knowledge import Planned
from service.runtime import Runtime
from service.web.auth import require
from service.web.bodies import refusals, reply, route
from service.web.routers.shared import Service, StudyId, looking
from service.web.threads import in_thread

LOOK_SECONDS = 20.0
"""How long a request waits for what was never computed: less than clients wait for an answer."""

router = APIRouter(
    prefix="/v1/studies/{study}",
    tags=["insights"],
    dependencies=[Depends(require(READERS, WRITERS)), Depends(looking)],
    responses=refusals(401, 404, 409, 429, 503),
)


@router.get("/calibration", **route(Calibration))
async def get_calibration(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what the predictions were worth, judged by the results that came after."""
    return await _answer(runtime, "calibration", study, study_calibration)


@router.get("/front", **route(Front))
async def get_front(runtime: Service, study: StudyId) -> JSONResponse:
    """Show score against trainable parameters; 409 before there is a score."""
    return await _answer(runtime, "front", study, _front)


@router.get("/noise", **route(Noise))
async def get_noise(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what two equally good vectors' scores differ by; 409 while too few have one."""
    return await _answer(runtime, "noise", study, study_noise)


def _front(session: Session, study: str, planned: Planned) -> Front:
    return front_of(study, known_front(session, study, planned))


async def _answer(
    runtime: Runtime, kind: str, study: str, compute: Callable[[Session, str, Planned], object]
) -> JSONResponse:
    """Answer what is computed and written once for all who ask; waiting holds no thread.

    Raises:
        Unreachable: It takes longer than ``LOOK_SECONDS``; it goes on for those who ask later.
    """
    make = partial(_written, runtime, study, compute)
    asked = await in_thread(runtime.insights.ask, f"{kind} answer", study, make)
    coming = asyncio.wrap_future(asked)
    done, _ = await asyncio.wait({coming}, timeout=LOOK_SECONDS)
    if not done:
        coming.add_done_callback(_forget)
        detail = f"the {kind} of study {study} is not computed yet"
        raise Unreachable(detail, hint="ask again in a minute: the work goes on")
    return coming.result()


def _written(
    runtime: Runtime, study: str, compute: Callable[[Session, str, Planned], object]
) -> JSONResponse:
    return reply(runtime.insights.read(compute, study))


def _forget(coming: "asyncio.Future[JSONResponse]") -> None:
    """Nobody waits any more; the cache has told the log of what went wrong."""
    if not coming.cancelled():
        coming.exception()
