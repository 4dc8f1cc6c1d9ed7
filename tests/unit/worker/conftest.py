"""A random tiny Llama, data for it, assignments on them, and a service with scripted answers."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog
import torch

from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    assign,
    description,
    imported_for_good,
    instruction_file,
    model_directory,
    one_thread,
    text_file,
    tokenizer,
)
from worker.lease.client import LeaseClient
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator

Answer = tuple[int, Any]


@pytest.fixture(scope="session")
def evaluator() -> Evaluator:
    return Evaluator(torch.device("cpu"))


class Service:
    """Answers each route from its script, last answer for ever, and keeps what it was sent."""

    defaults: ClassVar[dict[str, Answer]] = {
        "claim": (204, None),
        "join": (401, None),
        "heartbeat": (200, {"lease_seconds": 60, "action": "continue"}),
        "report": (200, {"status": "accepted"}),
        "release": (204, None),
        "upload": (201, {}),
    }

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, str, Any]] = []
        self.authorizations: set[str | None] = set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                service.handle(self)

            do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def say(self, route: str, *answers: Answer) -> None:
        self.script[route] = list(answers)

    def bodies(self, route: str) -> list[Any]:
        return [body for name, _, body in self.seen if name == route]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        route = self._route(request)
        self.authorizations.add(request.headers["Authorization"])
        self.seen.append((route, request.path, self._body(request)))
        left = self.script.get(route) or [self.defaults[route]]
        status, body = left.pop(0) if len(left) > 1 else left[0]
        text = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _route(self, request: BaseHTTPRequestHandler) -> str:
        if request.command == "PUT":
            return "upload"
        if request.path == "/v1/workers/join":
            return "join"
        found = re.fullmatch(r"/v1/leases/\d+/(\w+)", request.path)
        return found[1] if found else "claim"

    def _body(self, request: BaseHTTPRequestHandler) -> Any:
        if request.headers.get("Transfer-Encoding") != "chunked":
            return json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        parts = b""
        while size := int(request.rfile.readline(), 16):
            parts += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
        return parts


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def service() -> Iterator[Service]:
    started = Service()
    yield started
    started.close()


@pytest.fixture
def client(service: Service) -> Iterator[LeaseClient]:
    with LeaseClient(service.url, "rka_x_secret", "w1", attempts=1) as made:
        yield made


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")
