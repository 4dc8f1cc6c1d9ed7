"""The route of the metrics, for Prometheus."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rankspace.errors import Forbidden
from service.access.caller import Role
from service.web.auth import identify
from service.web.bodies import refusals
from service.web.routers.shared import Service


def _may_scrape(request: Request, runtime: Service) -> None:
    if runtime.settings.metrics_open:
        return
    caller = identify(request, runtime)
    if caller.role is not Role.ADMIN:
        hint = "use an admin key, or set RANKADAPTOR_METRICS_OPEN"
        raise Forbidden(f"a {caller.role} key may not read the metrics", hint=hint)
    if not caller.scope.is_everything:
        hint = "use an admin key of all projects, or set RANKADAPTOR_METRICS_OPEN"
        raise Forbidden("the metrics count all projects together", hint=hint)


router = APIRouter(tags=["health"], dependencies=[Depends(_may_scrape)], responses=refusals(401))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "metrics", "content": {"text/plain": {}}}},
)
def metrics(runtime: Service) -> Response:
    """Answer what was counted, in Prometheus' text format."""
    text = generate_latest(runtime.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
