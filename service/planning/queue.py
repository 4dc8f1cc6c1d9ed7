"""PlanningQueue: the one thread that carries studies on. Asking for it never waits for it."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from service.planning.planner import StudyPlanner
from service.planning.study_results import ModelSnapshot

PATIENCE_SECONDS = 5.0
"""How long a request waits for planning: half of what a worker waits for its answer."""


ASKERS = 1_000
"""Workers whose last result is remembered."""


class PlanningQueue:
    """Runs the planner for whoever asks; requests that wait for the same study are one."""

    def __init__(self, planner: StudyPlanner) -> None:
        self._planner = planner
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="planning")
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[None]] = {}
        self._running: Future[None] | None = None
        self._asked: OrderedDict[str, Future[None]] = OrderedDict()
        self._closed = False

    def ask(self, study: str, worker: str | None = None) -> Future[None]:
        """Have ``study`` carried on from what is committed now; done when that has happened.

        ``worker``: whose result was committed, if it was one.
        """
        with self._lock:
            if self._closed:
                return _nothing()  # the next start catches up
            if study not in self._waiting:
                self._waiting[study] = self._thread.submit(self._advance, study)
            if worker is not None:
                self._remember(worker, self._waiting[study])
            return self._waiting[study]

    def asked_by(self, worker: str) -> tuple[Future[None], ...]:
        """What the worker's last result asked for, if that is not done."""
        with self._lock:
            asked = self._asked.pop(worker, None)
        return (asked,) if asked is not None and not asked.done() else ()

    def _remember(self, worker: str, asked: Future[None]) -> None:
        self._asked[worker] = asked
        self._asked.move_to_end(worker)
        while len(self._asked) > ASKERS:
            self._asked.popitem(last=False)

    def ask_all(self) -> tuple[Future[None], ...]:
        """Have every study carried on that goes on by itself."""
        return tuple(self.ask(study) for study in self._planner.active())

    def known(self, study: str) -> ModelSnapshot | None:
        """What the model of a study knows that is planned here."""
        return self._planner.known(study)

    def under_way(self) -> tuple[Future[None], ...]:
        """What was asked and is not done."""
        with self._lock:
            return (*filter(None, [self._running]), *self._waiting.values())

    def warm_all(self) -> None:
        """Prepare every study's next proposal when nothing more urgent waits."""
        for study in self._planner.active():
            with self._lock:
                if not self._closed:
                    self._thread.submit(self._planner.warm, study)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _advance(self, study: str) -> None:
        with self._lock:  # what is committed from here on needs another turn
            self._running = self._waiting.pop(study)
        try:
            self._planner.advance(study)
        finally:
            with self._lock:
                self._running = None


async def settle(asked: Sequence[Future[None]], patience: float | None = None) -> float:
    """Wait a while for what was asked; the waiting holds no thread, the planning goes on.

    Returns:
        The patience that is left, in seconds.
    """
    patience = PATIENCE_SECONDS if patience is None else patience
    if not asked or patience <= 0.0:
        return patience
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    await asyncio.wait([asyncio.wrap_future(future) for future in asked], timeout=patience)
    return max(deadline - clock(), 0.0)


def _nothing() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
