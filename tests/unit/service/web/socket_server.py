"""A service on a socket, with uvicorn as ``service.server`` sets it up."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.server import Server, configuration, listen
from tests.unit.service.driver import Service, start
from tests.waiting import wait_for


class Served:
    """The service, and callers of it."""

    def __init__(self, service: Service, server: Server, port: int) -> None:
        self.service, self.server, self.port = service, server, port
        self.url = f"http://127.0.0.1:{port}"

    def say(self, sent: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(sent)
        return connection

    def cut(self, reason: str) -> float:
        registry = self.service.app.state.runtime.metrics.registry
        found = registry.get_sample_value("rankadaptor_connection_cut_total", {"reason": reason})
        return float(found)

    def request(self, method: str, path: str, role: str, length: int) -> bytes:
        key = self.service.key(role)["Authorization"]
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n"
        return f"{head}X-Content-SHA256: {'0' * 64}\r\nContent-Length: {length}\r\n\r\n".encode()


@contextlib.contextmanager
def serving(directory: Path, **changes: Any) -> Iterator[Served]:
    service = start(directory, **changes)
    runtime = service.app.state.runtime
    with listen("127.0.0.1", 0) as listening:
        server = Server(configuration(service.app, runtime.settings), runtime)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_for(lambda: server.started or not thread.is_alive())
            yield Served(service, server, listening.getsockname()[1])
        finally:
            runtime.doorbell.close()
            server.should_exit = True
            thread.join()
