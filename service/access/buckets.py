"""Buckets: how often each name may come. A bucket holds a burst, and refills steadily."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000
"""Buckets kept; beyond it, those used least lately are full again."""


class Buckets:
    """One token bucket per name, all alike; may be used from any thread.

    Args:
        rate: Tokens per second.
        burst: Tokens a full bucket holds.
        clock: Seconds.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token: 0, or without one to take the seconds until there is."""
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(name, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._rate)
            missing = max(1.0 - left, 0.0)
            self._left[name] = (left if missing else left - 1.0, now)
            if len(self._left) > MOST:
                self._left.popitem(last=False)
            return missing / self._rate
