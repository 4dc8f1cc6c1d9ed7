"""Limits: how much of this process each caller may have. In memory, so each process has its own."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rankspace.errors import TooManyRequests
from service.buckets import Buckets
from service.caller import Caller, Role
from service.settings import Settings

FLEET = 10
"""A worker key is often shared by a whole fleet: it has so many times a person's share."""

STRANGER = 0.1
"""Of a person's share, for all requests without a valid key from one address."""


class Limits:
    """Admits or refuses; see ``requests_per_second`` in the settings."""

    def __init__(self, settings: Settings) -> None:
        def buckets(factor: float) -> Buckets:
            rate, burst = settings.requests_per_second, settings.request_burst
            return Buckets(rate * factor, max(burst * factor, 1.0))

        self._people, self._fleets, self._strangers = map(buckets, (1.0, FLEET, STRANGER))
        self._most_polls = settings.polls_per_key
        self._polls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def admit(self, caller: Caller) -> None:
        """Count a request of ``caller``.

        Raises:
            TooManyRequests: Its key has used up its share.
        """
        buckets = self._fleets if caller.role is Role.WORKER else self._people
        _check(buckets.take(caller.key), f"key {caller.key} is used")

    def admit_stranger(self, address: str) -> None:
        """Count a request that showed no valid key.

        Raises:
            TooManyRequests: Too many came from ``address``.
        """
        _check(self._strangers.take(address), f"{address} asks without a valid key")

    @contextmanager
    def polling(self, caller: Caller) -> Iterator[None]:
        """Hold one of the long-polls that a key may have open at a time.

        Raises:
            TooManyRequests: All are in use.
        """
        with self._lock:
            if self._polls[caller.key] >= self._most_polls:
                detail = f"key {caller.key} waits for trials {self._most_polls} times already"
                hint = "give the fleet a second worker key, or raise RANKADAPTOR_POLLS_PER_KEY"
                raise TooManyRequests(detail, hint=hint)
            self._polls[caller.key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._polls -= Counter({caller.key: 1})  # drops what comes to zero


def _check(seconds: float, who: str) -> None:
    if seconds > 0.0:
        detail = f"{who} too often"
        raise TooManyRequests(detail, hint="come back later", wait_seconds=seconds)
