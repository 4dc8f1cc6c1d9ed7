"""Routes of a finished study's files."""

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, StreamingResponse

from service.access.caller import READERS, WRITERS
from service.leases.uploads import Export
from service.web.auth import require
from service.web.bodies import refusals, reply, route
from service.web.routers.shared import Service, StudyId

router = APIRouter(
    prefix="/v1/studies/{study}/export",
    tags=["export"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 409, 429),
)


@router.get("", **route(Export))
def list_export(runtime: Service, study: StudyId) -> JSONResponse:
    """List the recovered adapter's files; 409 while there are none."""
    return reply(runtime.artifacts.export(study))


@router.get(
    "/{name}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def read_export(runtime: Service, study: StudyId, name: str) -> StreamingResponse:
    """Download one file."""
    file, chunks = runtime.artifacts.read(study, name)
    headers = {
        "Content-Length": str(file.bytes),
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "X-Content-SHA256": file.sha256,
    }
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)
