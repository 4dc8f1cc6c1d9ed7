"""Routes of what a study's performance model knows, and how far it may be believed."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from rankspace.calibration import Calibration, Noise
from rankspace.errors import Conflict, Unreachable
from rankspace.evaluation.fidelity import Fidelity
from rankspace.front import Front
from service.access.caller import READERS, WRITERS
from service.insights.cache import Insight
from service.insights.knowledge import Computing
from service.runtime import Runtime
from service.studies.fidelity import fidelity
from service.studies.repository import Studies
from service.web.auth import require
from service.web.bodies import refusals, reply, route, sent
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
async def get_calibration(runtime: Service, study: StudyId) -> Response:
    """Show what the predictions were worth, judged by the results that came after."""
    return sent((await _insight(runtime, "calibration", study)).body)


@router.get("/front", **route(Front))
async def get_front(runtime: Service, study: StudyId) -> Response:
    """Show score against trainable parameters; 409 before there is a score."""
    found = await _insight(runtime, "front", study)
    if found.value is None:
        raise Conflict(f"study {study} has no score yet", hint="wait for its first trial")
    return sent(found.body)


@router.get("/noise", **route(Noise))
async def get_noise(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what two equally good vectors' scores differ by; 409 while too few have one."""
    found = await _insight(runtime, "calibration", study)
    if found.value.noise is None:
        raise Conflict(f"study {study} has too few scores", hint="wait for its first trials")
    return reply(found.value.noise)


@router.get("/fidelity", **route(Fidelity))
async def get_fidelity(runtime: Service, study: StudyId) -> JSONResponse:
    """Show how far what the study measures vectors by ranks them alike."""
    return await in_thread(_fidelity, runtime, study)


def _fidelity(runtime: Runtime, study: str) -> JSONResponse:
    with runtime.database.reading() as session:
        return reply(fidelity(session, Studies(session).get(study)))


async def _insight(runtime: Runtime, kind: str, study: str) -> Insight:
    """What the model says, computed once for all who ask.

    Raises:
        NotFound: There is no such study.
        Unreachable: It takes longer than ``LOOK_SECONDS``; it goes on for those who ask later.
    """
    asked = await in_thread(runtime.insights.asked_of, study)
    try:
        return await runtime.insights.insight(kind, study, asked, LOOK_SECONDS)
    except Computing:
        detail = f"the {kind} of study {study} is not computed yet"
        raise Unreachable(detail, hint="ask again in a minute: the work goes on") from None
