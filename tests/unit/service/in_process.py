"""InProcess: the way from an HTTP client to an application in this process, one hop a request."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.types import Message, Scope

CALLER = ("testclient", 50000)


class InProcess(httpx.BaseTransport):
    """Runs ``app`` on an event loop of its own, from entering the client to leaving it, if ever.

    Starlette's test client goes to the loop and back nine times a request, which costs more than
    most requests. Here an answer comes when it is whole.

    Args:
        app: What is asked.
        raises: Whether an error that it answers with 500 is raised instead, as a test that does
            not expect it wants to see it. One that it does not answer always is.
    """

    def __init__(self, app: FastAPI, *, raises: bool = True) -> None:
        self._app = app
        self._raises = raises
        self._open = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            lifespan = self._app.router.lifespan_context(self._app)
            stack.enter_context(self._portal.wrap_async_context_manager(lifespan))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._portal = None
        self._open.__exit__(kind, error, trace)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._loop() as portal:
            head, *parts = portal.call(self._messages, _scope(request), request.read())
        body = b"" if request.method == "HEAD" else b"".join(bytes(part["body"]) for part in parts)
        stream = httpx.ByteStream(body)
        return httpx.Response(head["status"], headers=head["headers"], stream=stream)

    @contextmanager
    def _loop(self) -> Iterator[BlockingPortal]:
        """The loop of the application; one for the request where somebody else runs that."""
        if self._portal is not None:
            yield self._portal
        else:
            with start_blocking_portal() as portal:
                yield portal

    async def _messages(self, scope: Scope, body: bytes) -> list[Message]:
        """Everything that the application says to the request."""
        unheard: list[Message] = [{"type": "http.request", "body": body}]
        said: list[Message] = []
        is_over = anyio.Event()

        async def receive() -> Message:
            if unheard:
                return unheard.pop()
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            said.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                is_over.set()

        try:
            await self._app(scope, receive, send)
        except Exception:
            if self._raises or not is_over.is_set():
                raise
        return said


def _scope(request: httpx.Request) -> Scope:
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "path": unquote(request.url.path),
        "raw_path": raw_path,
        "root_path": "",
        "scheme": request.url.scheme,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": CALLER,
        "server": (request.url.host, request.url.port or 80),
        "state": {},
    }
