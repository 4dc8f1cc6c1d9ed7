"""BodyLimit: how large a request's body may be, how slow, and how much of all of them is kept."""

import asyncio
import math
import time
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankspace.errors import TooLarge, TooManyRequests, Unreachable
from service.access.caller import Caller
from service.settings import KIB, MIB, Settings
from service.web.auth import READING
from service.web.errors import Stalled, answer

LEASES = "/v1/leases"

LOGIN_BYTES = 4 * KIB
"""A form with one short code or none, which anybody may send."""

CALL_BYTES = 32 * KIB
"""What a worker says of itself when it asks for a trial or gives one back."""

DIGITS = 19
"""Of a body's length at most, leading zeros included."""

FREE_BYTES = 16 * KIB
"""Of each body that count as nothing: what workers say must never wait for what others send."""

KEPT_BYTES = 32 * MIB
"""Of all other bodies together, from their first byte to their answer; at least two models."""

LEAST_BYTES_PER_SECOND = KIB
"""How fast a body comes on average, once the patience for it is used up."""


class Kept:
    """Counts the bytes of all bodies in memory, by key; used on the event loop only.

    Args:
        most: Of all keys together; one key has half of it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    def take(self, key: str, count: int) -> None:
        """Keep ``count`` bytes more.

        Raises:
            TooManyRequests: The key's own bodies fill its half.
            Unreachable: The bodies of all fill what there is.
        """
        hint = "send it again in a moment"
        if self._taken[key] + count > self._most // 2:
            raise TooManyRequests(f"key {key} sends many large bodies at a time", hint=hint)
        if self._taken.total() + count > self._most:
            raise Unreachable("the service is reading as much as it can", hint=hint)
        self._taken[key] += count

    def give_back(self, key: str, count: int) -> None:
        self._taken -= Counter({key: count})  # drops what comes to zero


class BodyLimit:
    """Stops reading a body at its route's limit, declared length or not, and one that stalls."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._kept = Kept(max(KEPT_BYTES, 2 * settings.max_model_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["method"], scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or len(declared) > DIGITS or int(declared) > limit:
            await answer(_too_large(limit))(scope, receive, send)
            return
        # Nobody waits for what a GET brings along, but an event stream for its reader to go.
        patience = math.inf if scope["method"] in READING else self._settings.body_seconds
        with _Share(self._kept, scope, int(declared)) as share:
            kept = None if _is_streamed(scope["method"], scope["path"]) else share
            await self._app(scope, _Arrival(receive, limit, patience, kept).next, send)

    def _limit(self, method: str, path: str) -> int:
        if _is_streamed(method, path):
            return self._settings.max_artifact_bytes
        if method == "POST" and (path == LEASES or path.endswith("/release")):
            return min(CALL_BYTES, self._settings.max_body_bytes)
        if method == "POST" and path == "/v1/models":
            return self._settings.max_model_bytes
        if method == "POST" and path in ("/login", "/logout"):
            return LOGIN_BYTES
        return self._settings.max_body_bytes


def _is_streamed(method: str, path: str) -> bool:
    """Whether the body goes to the disk as it comes."""
    return method == "PUT" and path.startswith(f"{LEASES}/")


class _Share:
    """What one body takes of what is kept: all of its length at once, so that it can be read."""

    def __init__(self, kept: Kept, scope: Scope, declared: int) -> None:
        self._kept = kept
        self._scope = scope
        self._declared = declared
        self._key = ""
        self._taken = 0

    def __enter__(self) -> "_Share":
        return self

    def __exit__(self, *_error: object) -> None:
        self._kept.give_back(self._key, self._taken)

    def hold(self, received: int) -> None:
        """Take what is needed now that so many bytes are here; raises as ``Kept.take`` does."""
        needed = max(received, self._declared) if received > FREE_BYTES else 0
        if needed > self._taken:
            self._key = self._key or self._caller()
            self._kept.take(self._key, needed - self._taken)
            self._taken = needed

    def _caller(self) -> str:
        """Whose body it is: known before it is read, where a key is needed."""
        caller = self._scope.get("state", {}).get("caller")
        return caller.key if isinstance(caller, Caller) else "of a stranger"


class _Arrival:
    """A body on its way. Only the time is counted in which somebody waits for more of it."""

    def __init__(self, receive: Receive, limit: int, patience: float, share: _Share | None) -> None:
        self._share = share
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
        if self._share is not None:
            self._share.hold(self._received)
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
