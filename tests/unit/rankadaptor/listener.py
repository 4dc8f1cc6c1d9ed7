"""A stranger's service: answers what it is told to, and remembers what it was sent."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Answer = tuple[int, Mapping[str, str], bytes]


def in_json(body: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


EMPTY = in_json({"items": [], "next": None})


@dataclass
class Stranger:
    """``sent`` has the path and the Authorization of every request."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    sent: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def stranger() -> Iterator[Stranger]:
    """Listen on a loopback port that no service of ours has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.sent.append((self.path, self.headers.get("Authorization")))
            status, headers, body = heard.answers.get(self.path, EMPTY)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        heard = Stranger(server.server_address[1])
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()
