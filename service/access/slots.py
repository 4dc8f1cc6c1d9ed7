"""Slots: how many of something each key may hold at a time, and all keys together."""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rankspace.errors import TooManyRequests


class Slots:
    """Given out and taken back; may be used from any thread.

    Args:
        what: They are, for the refusal: "waits for trials".
        fix: What to do when a key holds all it may.
        each: Most of one key.
        total: Most of all keys, and what to do when they are taken.
    """

    def __init__(
        self, what: str, fix: str, each: int, total: tuple[float, str] = (math.inf, "")
    ) -> None:
        self._what = what
        self._fix = fix
        self._each = each
        self._total, self._total_fix = total
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold one.

        Raises:
            TooManyRequests: None is left.
        """
        with self._lock:
            self._check(key)
            self._taken[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= Counter({key: 1})  # drops what comes to zero

    def _check(self, key: str) -> None:
        if self._taken[key] >= self._each:
            detail = f"key {key} {self._what} {self._each} times already"
            raise TooManyRequests(detail, hint=self._fix)
        if self._taken.total() >= self._total:
            detail = f"this service has given out all {self._total} slots"
            raise TooManyRequests(detail, hint=self._total_fix)
