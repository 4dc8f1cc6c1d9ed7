"""ASGI guards in front of every route: host names, paths, security headers."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankspace.errors import Forbidden, UnreadableInput
from service.web.errors import answer

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
