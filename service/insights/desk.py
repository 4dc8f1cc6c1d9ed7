"""Desk: threads that compute, and what they made last for each place, as far as there is room."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog

from rankspace.errors import RankspaceError, Unreachable
from service.insights.found import Asked, Found, Made, Rule
from service.insights.knowledge import Computing

log = structlog.get_logger(__name__)

THREADS = 2
"""Of a desk. Python runs one at a time."""

KEPT, KEPT_BYTES = 64, 32 << 20
"""Results a desk keeps, and bytes of them; those asked for least lately dropped first."""

BYTES_OF_VALUE = 3
"""What a value takes in memory for each byte of it as JSON, at most: two to three, by layers."""

Work: TypeAlias = Callable[[], Made[Any]]


@dataclass
class _Kept:
    """One result, and the computation that will replace it."""

    found: Found[Any] | None = None
    coming: "Future[Found[Any]] | None" = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        if self.found is None:
            return 0
        made = self.found.made
        return len(made.body) * (1 if made.value is None else 1 + BYTES_OF_VALUE)


class Desk:
    """What is computed under one rule.

    Args:
        name: Of its threads.
        rule: How often it is computed anew.
        clock: Seconds.
    """

    def __init__(self, name: str, rule: Rule, clock: Callable[[], float] = time.monotonic) -> None:
        self.rule = rule
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def step(
        self, place: Hashable, asked: Asked, work: Work
    ) -> "Found[Any] | Future[Found[Any]] | float":
        """The answer, what is to be waited for, or the seconds until it may be computed."""
        kept, now = self._place(place), self._clock()
        with kept.lock:
            if kept.found is not None and self.rule.serves(kept.found, asked, now):
                return kept.found
            if kept.coming is None:
                pause = self.rule.pause(kept.found, asked, now)
                if pause > 0.0:
                    return pause
                kept.coming = self._threads.submit(self._make, kept, work)
                kept.coming.add_done_callback(_log_failure)
            return kept.coming

    def stand_in(self, place: Hashable, asked: Asked) -> Found[Any]:
        """What there is of before, for whom the next one comes too late.

        Raises:
            Computing: There is nothing that may be shown for it.
        """
        found = self._place(place).found
        if found is None or not self.rule.stands_in(found, asked):
            raise Computing
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _place(self, place: Hashable) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(place, _Kept())
            self._kept.move_to_end(place)
            self._make_room()
            return kept

    def _make(self, kept: _Kept, work: Work) -> Found[Any]:
        begun_at = self._clock()
        try:
            made = work()
        except Exception as error:
            with kept.lock:
                kept.coming = None
                if not isinstance(error, Computing | Unreachable):
                    kept.found = None  # what cannot be computed any more is not true any more
            raise
        found = Found(made, begun_at, self._clock())
        with kept.lock:
            kept.found, kept.coming = found, None
        with self._lock:
            self._make_room()
        return found

    def _make_room(self) -> None:
        """Drop what is too much, but for what was asked for last and what somebody waits for."""
        total = sum(kept.size for kept in self._kept.values())
        for place, kept in [*self._kept.items()][:-1]:
            if len(self._kept) <= KEPT and total <= KEPT_BYTES:
                return
            if kept.coming is None:
                total -= kept.size
                del self._kept[place]


def _log_failure(ended: "Future[Any]") -> None:
    """Perhaps nobody waits for it; what is not there, or not yet, is no failure."""
    error = None if ended.cancelled() else ended.exception()
    if isinstance(error, Unreachable):
        log.warning("an insight cannot be computed", reason=error.detail)
    elif error is not None and not isinstance(error, RankspaceError | Computing):
        log.error("an insight failed", exc_info=error)
