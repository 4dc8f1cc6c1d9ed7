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
from service.web.routers.shared import AfterName, Limit, Service, page_schema
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
    """List models, newest first; fewer at a time of large ones."""
    with runtime.database.reading() as session:
        models = Models(session)
        known = models.identities(after, limit + 1, caller.scope)
        found = [view(row) for row in models.fitting(known[:limit])]
    is_last = len(found) == len(known)
    return reply({"items": found, "next": None if is_last else found[-1].id})


@router.get("/{model}", **route(ModelView))
def get_model(runtime: Service, caller: Identified, model: str) -> JSONResponse:
    """Show one model."""
    with runtime.database.reading() as session:
        return reply(view(Models(session).get(model, caller.scope)))
