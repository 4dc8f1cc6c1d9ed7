"""Hints: waiting for work in Redis, where that is set up; the service is asked either way."""

import time
from importlib.util import find_spec
from typing import Any, Protocol

import structlog

from rankspace.errors import InvalidInput

log = structlog.get_logger(__name__)

AWAY_SECONDS = 15.0
"""How long the service's own waiting is used after Redis did not answer."""

CONNECT_SECONDS = 2.0
LONGEST_SECONDS = 30.0
"""One wait lasts no longer: the connection's own patience must be longer still."""

GRACE_SECONDS = 5.0
"""How much later than promised Redis may answer."""


class Waits(Protocol):
    """Something that says when to ask the service for work."""

    @property
    def is_usable(self) -> bool: ...
    def wait(self, routes: tuple[str, ...], seconds: float) -> bool: ...


class NoHints:
    """For workers without Redis: the service waits on their behalf."""

    is_usable = False

    def wait(self, routes: tuple[str, ...], seconds: float) -> bool:
        raise AssertionError("never called: not usable")


class RedisHints:
    """One worker's connection to Redis. A hint only says that asking may be worth it.

    Raises:
        InvalidInput: The package is missing, or ``url`` is no address.
    """

    def __init__(self, url: str) -> None:
        if find_spec("redis") is None:
            fix = "pip install 'rankadaptor[redis]', or leave the setting out"
            raise InvalidInput("redis_url", "***", "needs the redis package", fix=fix)
        from redis import Redis  # noqa: PLC0415  # only workers that use it need it

        try:
            self._redis = Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=LONGEST_SECONDS + GRACE_SECONDS,
            )
        except ValueError:  # which quotes the address, and so the password
            fix = "use redis://[USER:PASSWORD@]HOST[:PORT], rediss:// for TLS; escape the password"
            raise InvalidInput("redis_url", "***", "is no address", fix=fix) from None
        self._away_until = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether Redis is believed to answer."""
        return time.monotonic() >= self._away_until

    def wait(self, routes: tuple[str, ...], seconds: float) -> bool:
        """Return True at the first hint on ``routes``, False without one or without Redis.

        Whatever else answers is no Redis.
        """
        timeout = min(max(seconds, 0.01), LONGEST_SECONDS)
        try:
            popped = self._redis.bzpopmin(list(routes), timeout=timeout)
            if popped is not None:
                _check_hint(popped, routes)
        except Exception as error:  # noqa: BLE001  # its reader stumbles over garbage in any way
            log.warning("redis_away", problem=f"{type(error).__name__}: {error}")
            self._away_until = time.monotonic() + AWAY_SECONDS
            return False
        return popped is not None


def _check_hint(popped: Any, routes: tuple[str, ...]) -> None:
    """Garbage that answers at once would have the service asked all the time."""
    queue, _, _ = popped
    if queue.decode() not in routes:
        raise ValueError(f"a hint of {queue!r}, which was not asked for")
