"""The route of the metrics, for Prometheus."""

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.auth import require
from service.bodies import refusals
from service.keys import Role
from service.routers.shared import Service

_require_admin = require(Role.ADMIN)


def _may_scrape(request: Request, runtime: Service) -> None:
    if not runtime.settings.metrics_open:
        _require_admin(request, runtime)


router = APIRouter(
    tags=["health"], dependencies=[Depends(_may_scrape)], responses=refusals(401, 403)
)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "metrics", "content": {"text/plain": {}}}},
)
def metrics(runtime: Service) -> Response:
    """Answer what was counted, in Prometheus' text format."""
    text = generate_latest(runtime.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
