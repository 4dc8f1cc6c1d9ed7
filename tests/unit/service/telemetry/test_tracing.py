"""Spans of requests: by the SDK's own memory exporter, and over HTTP to a collector's address."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rankspace.errors import InvalidInput
from service.telemetry.tracing import RequestSpans
from tests.unit.service.driver import STREAM_SECONDS, Service, start

MISSING = find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None
needs_packages = pytest.mark.skipif(MISSING, reason="extra otel is not installed: no span was made")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans(directory: Path) -> Iterator[tuple[Service, Any]]:
    """A service whose spans stay in memory."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    service = start(directory)
    service.app.add_middleware(RequestSpans, tracer=provider.get_tracer("test"))
    with service.client:
        yield service, memory
    provider.shutdown()


@needs_packages
def test_each_request_is_one_span_named_by_its_template(spans: tuple[Service, Any]) -> None:
    service, memory = spans
    study = service.submit()
    service.claim()
    service.client.get(f"/v1/studies/{study}")
    service.client.get("/nowhere/4711")
    made = [
        (s.name, s.attributes["http.response.status_code"]) for s in memory.get_finished_spans()
    ]
    assert made == [
        ("POST /v1/models", 201),
        ("POST /v1/studies", 201),
        ("POST /v1/leases", 201),
        ("GET /v1/studies/{study}", 401),
        ("GET", 404),
    ]
    assert {span.kind.name for span in memory.get_finished_spans()} == {"SERVER"}


@needs_packages
def test_the_span_of_an_event_stream_ends_as_the_stream_begins(spans: tuple[Service, Any]) -> None:
    service, memory = spans
    began = time.time_ns()
    service.client.get("/v1/events/stream", headers=service.key("admin"))
    lasted = time.time_ns() - began
    (span,) = memory.get_finished_spans()
    assert (span.name, span.attributes["http.response.status_code"]) == (
        "GET /v1/events/stream",
        200,
    )
    assert span.end_time - span.start_time < lasted - 0.9e9 * STREAM_SECONDS


@needs_packages
def test_a_span_goes_on_from_the_callers_trace(spans: tuple[Service, Any]) -> None:
    service, memory = spans
    service.client.get("/livez", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    service.client.get("/livez")
    continued, own = memory.get_finished_spans()
    assert format(continued.context.trace_id, "032x") == TRACE
    assert format(continued.parent.span_id, "016x") == "00f067aa0ba902b7"
    assert own.parent is None


@needs_packages
def test_what_goes_wrong_is_on_the_span(spans: tuple[Service, Any]) -> None:
    service, memory = spans

    @service.app.get("/broken")
    def broken() -> None:
        raise MemoryError("planted")

    with pytest.raises(MemoryError):
        service.client.get("/broken")
    (span,) = memory.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert "planted" in span.events[0].attributes["exception.message"]


class _Collector(BaseHTTPRequestHandler):
    received: tuple[str, bytes] = ("", b"")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        type(self).received = (self.path, self.rfile.read(length))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


PROGRAM = """
import sys
from pathlib import Path
from tests.unit.service.driver import start

service = start(Path(sys.argv[1]), otel=True)
with service.client:
    assert service.client.get("/livez").status_code == 200
"""


@needs_packages
def test_the_setting_sends_spans_to_the_collector(directory: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Collector) as collector:
        threading.Thread(target=collector.handle_request, daemon=True).start()
        there = f"http://127.0.0.1:{collector.server_port}"
        command = [sys.executable, "-c", PROGRAM, str(directory)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": there,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
    path, body = _Collector.received
    assert path == "/v1/traces"
    assert b"GET /livez" in body


@pytest.mark.skipif(not MISSING, reason="extra otel is installed: its absence was not tried")
def test_asking_for_spans_without_the_packages_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"otel = True: .* is not installed") as refused:
        start(tmp_path / "data", otel=True)
    assert "rankadaptor[otel]" in refused.value.hint


@pytest.mark.slow
def test_the_sdk_is_not_imported_unless_asked_for(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.unit.service.driver import start;"
        f"start(Path({str(tmp_path / 'data')!r}));"
        "sys.exit('opentelemetry.sdk' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, env=environment, check=False).returncode == 0
