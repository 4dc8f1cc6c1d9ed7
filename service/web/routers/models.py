"""Routes of models."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from rankspace import PrunedModel
from service.access.caller import READERS, WRITERS
from service.models.repository import Models
from service.models.workflow import ModelView, check, register, view
from service.web.auth import Identified, Target, require
from service.web.bodies import body_of, refusals, reply, route
from service.web.routers.shared import AfterName, Limit, Service, page, page_schema
from service.web.threads import Threads, threaded

router = APIRouter(
    prefix="/v1/models",
    tags=["models"],
    dependencies=[Depends(require(READERS, WRITERS))],
    responses=refusals(401, 404, 429),
)


@router.post(
    "",
    dependencies=[Depends(Threads.bulk)],
    **route(ModelView, body=PrunedModel, status=201, also={200: ModelView}),
)
@threaded
def register_model(
    runtime: Service,
    project: Target,
    model: Annotated[PrunedModel, Depends(body_of(PrunedModel))],
) -> JSONResponse:
    """Register a model by its description; its files stay where they are."""
    check(model)
    with runtime.database.writing() as session:
        registered, is_new = register(session, model, project)
    at = f"{router.prefix}/{registered.id}"
    return reply(registered, 201 if is_new else 200, at=at)


@router.get("", **route(page_schema(ModelView)))
def list_models(
    runtime: Service, caller: Identified, after: AfterName = None, limit: Limit = 50
) -> JSONResponse:
    """List models, newest first."""
    with runtime.database.reading() as session:
        rows = Models(session).page(after, limit + 1, caller.scope)
        found = [view(row) for row in rows]
    return reply(page(found, limit, lambda model: model.id))


@router.get("/{model}", **route(ModelView))
def get_model(runtime: Service, caller: Identified, model: str) -> JSONResponse:
    """Show one model."""
    with runtime.database.reading() as session:
        return reply(view(Models(session).get(model, caller.scope)))
