"""Tracing: one OpenTelemetry span per request, where the operator asks for it."""

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankspace.errors import InvalidInput
from service.telemetry.timing import is_stream

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


def install(app: FastAPI) -> None:
    """Send spans where the standard ``OTEL_*`` variables say; the provider is this application's.

    Raises:
        InvalidInput: The packages of the extra ``otel`` are missing.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        fix = "pip install 'rankadaptor[otel]', or unset RANKADAPTOR_OTEL"
        raise InvalidInput("otel", True, f"{error.name} is not installed", fix=fix) from None
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.add_middleware(RequestSpans, tracer=provider.get_tracer("rankadaptor"))


class RequestSpans:
    """A span goes on from the caller's ``traceparent``; its name has the template, not the path.

    That of an event stream ends when the stream begins.
    """

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        from opentelemetry import propagate, trace

        self._app, self._tracer = app, tracer
        self._extract, self._kind = propagate.extract, trace.SpanKind.SERVER
        self._use = trace.use_span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, caller = scope["method"], self._extract(Headers(scope=scope))
        span = self._tracer.start_span(method, context=caller, kind=self._kind)
        span.set_attribute("http.request.method", method)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if is_stream(message):
                    _end(span, scope)
            await send(message)

        try:
            with self._use(span):
                await self._app(scope, receive, noted)
        finally:
            if span.is_recording():
                _end(span, scope)


def _end(span: "Span", scope: Scope) -> None:
    if route := getattr(scope.get("route"), "path", None):
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.end()
