"""Prefix: a service below a path of a host that others share, such as ``/rankadaptor``."""

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Prefix:
    """Takes the prefix off every path, and puts it before every address the answers tell.

    Whether the proxy has taken it off already makes no difference, nor who set it: this service's
    ``root_path``, or the server's own. Everything below sees the paths it would see without one.
    ``X-Forwarded-Prefix`` is not believed: it would be one more way to have a page's links, and the
    login's form, lead where a caller says. Pages name each other relatively and need none.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = self._root_path or scope.get("root_path", "").rstrip("/")
        if scope["type"] != "http" or not root:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == root:
            await RedirectResponse(f"{root}/", 307)(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                _put_before(root, _origin(scope), MutableHeaders(scope=message))
            await send(message)

        inside = path.removeprefix(root) if path.startswith(f"{root}/") else path
        await self._app({**scope, "path": inside, "root_path": ""}, receive, told)


def _origin(scope: Scope) -> str:
    """Scheme and host, as the framework writes them before the path of a redirect of its own."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return f"{scope.get('scheme', 'http')}://{host.decode('latin-1')}"


def _put_before(root: str, origin: str, headers: MutableHeaders) -> None:
    """Leave alone what is relative, and what leads to another host."""
    told = headers.get("location", "")
    path = told.removeprefix(origin)
    if path.startswith("/") and not path.startswith("//"):
        headers["location"] = f"{told.removesuffix(path)}{root}{path}"
