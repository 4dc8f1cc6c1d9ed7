"""InsightCache: what takes long to compute is computed once, beside the requests.

On a small study every answer is as of now. Where that takes longer than ``fresh_seconds`` one
computation serves everybody, and comes so seldom that it takes at most a twentieth of the time, and
whoever asks meanwhile gets what was last computed: twenty open pages of a study with thousands of
trials must not cost twenty times what one does, nor hold up a heartbeat.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy.orm import Session

from rankspace.calibration import Calibration
from rankspace.errors import RankspaceError
from rankspace.front import Front
from service.insights.calibration import study_calibration
from service.insights.front import known_front
from service.insights.knowledge import Planned, nobody
from service.storage.db import Database

log = structlog.get_logger(__name__)

PAUSES = 20
"""How much longer than computing something the pause until it is computed anew."""

THREADS = 2
"""For what is dear, and as many for pages: they must not wait for it. Python runs one at a time."""

KEPT = 64
"""Results kept, those asked for least lately dropped first."""


T = TypeVar("T")


class Computing(Exception):
    """The first result is not there yet."""


@dataclass
class _Kept:
    """One result, and the computation that will replace it."""

    value: Any = None
    seconds: float = math.inf
    made_at: float = -math.inf
    lock: threading.Lock = field(default_factory=threading.Lock)
    coming: "Future[Any] | None" = None

    def put(self, value: Any, seconds: float, made_at: float) -> None:
        with self.lock:
            self.value, self.seconds, self.made_at = value, seconds, made_at

    def drop(self) -> None:
        """What cannot be computed any more is not true any more: the next who ask hear why."""
        with self.lock:
            self.value, self.seconds, self.made_at = None, math.inf, -math.inf

    @property
    def is_made(self) -> bool:
        return math.isfinite(self.made_at)

    def is_old(self, now: float) -> bool:
        return not self.is_made or now - self.made_at > PAUSES * self.seconds


class InsightCache:
    """Fronts, calibrations and pages of studies.

    Args:
        fresh_seconds: What takes no longer is computed for each who asks.
        planned: What the planner knows of a study.
        clock: Seconds.
    """

    def __init__(
        self,
        database: Database,
        fresh_seconds: float,
        planned: Planned = nobody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._database = database
        self._planned = planned
        self._fresh_seconds = fresh_seconds
        self._dear = ThreadPoolExecutor(THREADS, thread_name_prefix="insights")
        self._pages = ThreadPoolExecutor(THREADS, thread_name_prefix="pages")
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Hashable], _Kept] = OrderedDict()

    def front(self, study: str, patience: float | None = None) -> Front | None:
        """Score against parameters; None before there is a score.

        Raises:
            NotFound: There is no such study.
            Computing: It was never computed, and was not within ``patience`` seconds.
        """
        return _within(patience, self.ask("front", study, partial(self.read, known_front, study)))

    def calibration(self, study: str, patience: float | None = None) -> Calibration:
        """What the predictions were worth; raises as ``front`` does."""
        compute = partial(self.read, study_calibration, study)
        return _within(patience, self.ask("calibration", study, compute))

    def ask(self, kind: str, of: Hashable, compute: Callable[[], T]) -> "Future[T]":
        """What ``compute`` makes of a study: there already, or coming; to wait needs no thread."""
        return self._ask(self._dear, (kind, of), compute)

    def shared(self, kind: str, of: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` makes of a study or list: now, or where that is dear a moment ago."""
        coming: Future[T] = self._ask(self._pages, (kind, of), compute)
        return coming.result()

    def close(self) -> None:
        for threads in (self._dear, self._pages):
            threads.shutdown(wait=False, cancel_futures=True)

    def read(self, compute: Callable[[Session, str, Planned], T], study: str) -> T:
        """Compute it here and now from the database and what the planning knows."""
        with self._database.reading() as session:
            return compute(session, study, self._planned)

    def _ask(
        self, threads: ThreadPoolExecutor, place: tuple[str, Hashable], compute: Callable[[], Any]
    ) -> "Future[Any]":
        kept = self._place(place)
        if kept.is_made and kept.seconds <= self._fresh_seconds:
            return _done(self._make(kept, compute))
        with kept.lock:
            if kept.coming is None and kept.is_old(self._clock()):
                kept.coming = threads.submit(self._make, kept, compute)
                kept.coming.add_done_callback(_told)
            coming, is_made, value = kept.coming, kept.is_made, kept.value
        return _done(value) if coming is None or is_made else coming

    def _place(self, place: tuple[str, Hashable]) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(place, _Kept())
            self._kept.move_to_end(place)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept

    def _make(self, kept: _Kept, compute: Callable[[], Any]) -> Any:
        begin = self._clock()
        try:
            value = compute()
            made_at = self._clock()
            kept.put(value, made_at - begin, made_at)
            return value
        except Exception:
            kept.drop()
            raise
        finally:
            with kept.lock:
                kept.coming = None


def _done(value: Any) -> "Future[Any]":
    done: Future[Any] = Future()
    done.set_result(value)
    return done


def _within(patience: float | None, coming: "Future[T]") -> T:
    try:
        return coming.result(patience)
    except TimeoutError:
        raise Computing from None


def _told(ended: "Future[Any]") -> None:
    """Nobody may be waiting for it."""
    error = None if ended.cancelled() else ended.exception()
    if error is not None and not isinstance(error, RankspaceError):
        log.error("an insight failed", exc_info=error)
