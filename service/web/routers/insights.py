"""Routes of what a study's performance model knows, and how far it may be believed."""

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from rankspace.calibration import Calibration, Noise
from rankspace.front import Front
from service.access.caller import READERS, WRITERS
from service.insights.calibration import study_noise
from service.insights.front import front_of
from service.web.auth import require
from service.web.bodies import refusals, reply, route
from service.web.routers.shared import Service, StudyId

router = APIRouter(
    prefix="/v1/studies/{study}",
    tags=["insights"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 409, 429),
)


@router.get("/calibration", **route(Calibration))
def get_calibration(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what the predictions were worth, judged by the results that came after."""
    return reply(runtime.insights.calibration(study))


@router.get("/front", **route(Front))
def get_front(runtime: Service, study: StudyId) -> JSONResponse:
    """Show score against trainable parameters; 409 before there is a score."""
    return reply(front_of(study, runtime.insights.front(study)))


@router.get("/noise", **route(Noise))
def get_noise(runtime: Service, study: StudyId) -> JSONResponse:
    """Show what two equally good vectors' scores differ by; 409 while too few have one."""
    with runtime.database.reading() as session:
        return reply(study_noise(session, study, runtime.planning.known))
