"""RequestTimer: how long each route takes, as ASGI middleware."""

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.metrics import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "(none)"


def is_stream(start: Message) -> bool:
    """Whether the answer that begins so goes on for as long as its reader wants."""
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


class RequestTimer:
    """Observes each request under its route's template: paths are endless, templates are few.

    What a guard refused, what no route answers to and static files count under ``(none)``. An
    event stream is answered when it begins: it lasts as long as somebody looks.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, ended = time.perf_counter(), None
        status = 500  # what a route that raised is answered with

        async def noted(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                ended = time.perf_counter() if is_stream(message) else None
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._observe(scope, status, (ended or time.perf_counter()) - began)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        self._metrics.requests.labels(method, route, str(status)).observe(seconds)
