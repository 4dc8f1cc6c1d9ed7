"""ASGI guards in front of every route: host names, bodies, security headers."""

import asyncio
import math
import time
from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankspace.errors import Forbidden, TooLarge, UnreadableInput
from service.settings import KIB, Settings
from service.web.auth import READING
from service.web.errors import Stalled, answer

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Not "no-referrer": with that, browsers hide even from ourselves where our form is from.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)


LOGIN_BYTES = 4 * KIB
"""A form with one short code or none, which anybody may send."""

LEAST_BYTES_PER_SECOND = KIB
"""How fast a body comes on average, once the patience for it is used up."""


class HostGuard:
    """Answers only to known ``Host`` names: a page of another origin may resolve to this address.

    Without it, DNS rebinding lets any web page talk to a service on the reader's machine.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if _name(host) not in self._hosts:
                hint = "set RANKADAPTOR_ALLOWED_HOSTS on the service"
                refusal = Forbidden(f"the service does not answer to host {host!r}", hint=hint)
                await answer(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


class NulGuard:
    """Refuses the character NUL in a path or a query: no name has it, and no table can hold it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            refusal = UnreadableInput("path", scope["path"], "contains NUL", fix="leave it out")
            await answer(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """Stops reading a body at its route's limit, declared length or not, and one that stalls."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["method"], scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:19]) > limit:
            await answer(_too_large(limit))(scope, receive, send)
            return
        # Nobody waits for what a GET brings along, but an event stream for its reader to go.
        patience = math.inf if scope["method"] in READING else self._settings.body_seconds
        arrival = _Arrival(receive, limit, patience)
        await self._app(scope, arrival.next, send)

    def _limit(self, method: str, path: str) -> int:
        if method == "PUT" and path.startswith("/v1/leases/"):
            return self._settings.max_artifact_bytes
        if method == "POST" and path == "/v1/models":
            return self._settings.max_model_bytes
        if method == "POST" and path in ("/login", "/logout"):
            return LOGIN_BYTES
        return self._settings.max_body_bytes


class _Arrival:
    """A body on its way. Only the time is counted in which somebody waits for more of it."""

    def __init__(self, receive: Receive, limit: int, patience: float) -> None:
        self._receive = receive
        self._limit = limit
        self._patience = patience
        self._received = 0
        self._waited = 0.0
        self._is_whole = False

    async def next(self) -> Message:
        if self._is_whole:  # what comes now is that the caller has gone
            return await self._receive()
        message = await self._in_time()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise _too_large(self._limit)
        self._is_whole = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        began = time.monotonic()
        left = self._patience + self._received / LEAST_BYTES_PER_SECOND - self._waited
        try:
            async with asyncio.timeout(min(left, self._patience)):
                return await self._receive()
        except TimeoutError:
            raise Stalled from None
        finally:
            self._waited += time.monotonic() - began


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body exceeds {limit:,} bytes", hint="send less")


class SecurityHeaders:
    """Puts what browsers should forbid on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
