"""PlanningQueue: the threads that carry studies on. Asking for it never waits for it."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import structlog

from service.planning.agenda import Agenda
from service.planning.planner import THREADS
from service.planning.turns import Turns

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
"""How long a request waits for planning: half of what a worker waits for its answer."""

SLICE_SECONDS = 0.5
"""After so long a study that still has results to learn lets other projects go first."""

ASKERS = 1_000
"""Workers whose last result is remembered."""

PROJECTS = 10_000
"""Studies whose project is remembered."""

LAST = 3
"""Results of a study whose workers are remembered."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """What a thread does next.

    Attributes:
        study: Which study.
        project: Whose it is.
        warms: Whether only its next proposal is prepared.
        is_awaited: Whether a worker's result asked for it.
    """

    study: str
    project: str
    warms: bool
    is_awaited: bool


class Planner(Protocol):
    """A StudyPlanner, here or in another process."""

    def advance(self, study: str, until: float) -> bool: ...

    def warm(self, study: str, until: float) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_alive(self) -> bool: ...


class PlanningQueue:
    """Runs the planner for whoever asks; requests that wait for the same study are one.

    Studies of different projects are planned side by side and in time slices: of the projects that
    wait, the one that had the least time lately is next. Of one project's studies every other one
    is the first that a worker's result asked for, if there is any, however many came before it; the
    others are whichever waits longest. So what results ask for in a project is planned in the order
    of the results, and nothing that is asked for later comes before it.
    """

    def __init__(self, planner: Planner, agenda: Agenda) -> None:
        self._planner = planner
        self._agenda = agenda
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, Future[None]] = OrderedDict()
        self._running: dict[str, Future[None]] = {}
        self._cold: OrderedDict[str, None] = OrderedDict()
        self._awaited: set[str] = set()
        self._had_awaited: set[str] = set()
        self._busy: set[str] = set()
        self._projects: dict[str, str] = {}
        self._turns = Turns()
        self._asked: OrderedDict[str, dict[str, Future[None]]] = OrderedDict()
        self._inherited: Mapping[str, Future[None]] = {}
        self._bringers: dict[str, tuple[str, ...]] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def ask(self, study: str, worker: str | None = None) -> Future[None]:
        """Have ``study`` carried on from what is committed now; done when that has happened.

        ``worker``: whose result was committed, if it was one.
        """
        with self._changed:
            if self._closed:
                return _nothing()  # the next start catches up
            if study not in self._waiting:
                self._waiting[study] = Future()
                self._wake()
            if worker is not None:
                self._await(study)
                self._remember(worker, study)
            return self._waiting[study]

    def _await(self, study: str) -> None:
        """Queue it as of now: a place it had without a result is before those of earlier ones."""
        if study not in self._awaited:
            self._waiting.move_to_end(study)
            self._awaited.add(study)

    def asked_by(self, worker: str) -> Mapping[str, Future[None]]:
        """What the worker's results asked for and is not done, by study, the first one first.

        What the start of the service asked for counts as every worker's.
        """
        with self._changed:
            asked = {**self._inherited, **self._asked.get(worker, {})}
            return {study: future for study, future in asked.items() if not future.done()}

    def is_shared(self, studies: Iterable[str]) -> bool:
        """Whether several workers in turn bring the results of one of ``studies``.

        So the last three tell, of which no two in a row are from one: a worker that was started
        anew, by another name, is still the only one.
        """
        with self._changed:
            last = [self._bringers.get(study, ()) for study in studies]
        return any(len(three) == LAST and three[0] != three[1] != three[2] for three in last)

    def _remember(self, worker: str, study: str) -> None:
        earlier = self._asked.pop(worker, {})
        asked = {name: future for name, future in earlier.items() if not future.done()}
        self._asked[worker] = {**asked, study: self._waiting[study]}
        while len(self._asked) > ASKERS:
            self._asked.popitem(last=False)
        if len(self._bringers) >= PROJECTS:
            self._bringers.clear()
        self._bringers[study] = (*self._bringers.get(study, ()), worker)[-LAST:]

    def ask_all(self) -> tuple[Future[None], ...]:
        """Have every study carried on that goes on by itself, and every worker's claim wait for it.

        So the service starts: whose results it had not planned for when it died, nobody remembers.
        """
        asked = {study: self.ask(study) for study in self._agenda.active()}
        with self._changed:
            self._inherited = asked
        return tuple(asked.values())

    def ask_news(self) -> tuple[Future[None], ...]:
        """Have every study carried on for which something happened since this was last asked.

        For hundreds of studies at rest that is one look at the database.
        """
        return tuple(self.ask(study) for study in self._agenda.news())

    def under_way(self, study: str | None = None) -> tuple[Future[None], ...]:
        """What was asked and is not done; of one ``study``, or of all."""
        with self._changed:
            places = self._running, self._waiting
            if study is not None:
                return tuple(place[study] for place in places if study in place)
            return tuple(future for place in places for future in place.values())

    def warm_all(self) -> None:
        """Prepare every study's next proposal when nothing more urgent waits."""
        studies = self._agenda.active()
        with self._changed:
            if not self._closed:
                self._cold.update(dict.fromkeys(studies))
                self._wake()

    def start(self) -> None:
        """Have the planner there when a study is first asked for."""
        self._planner.start()

    def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """Let nobody wait any more, and those go who are planning, if they soon come to a stop.

        What a thread does that does not is lost with the process, and done again by the next one.
        """
        with self._changed:
            self._closed = True
            waiting = tuple(self._waiting.values())
            self._waiting.clear()
            self._cold.clear()
            self._awaited.clear()
            self._changed.notify_all()
        self._planner.stop()
        for future in waiting:
            future.set_result(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        if any(thread.is_alive() for thread in self._threads):
            log.warning("planning is given up", studies=tuple(self._running))

    def _wake(self) -> None:
        if len(self._threads) < THREADS:
            name = f"planning-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._changed.notify_all()

    @property
    def is_alive(self) -> bool:
        """Whether every thread lives that was started, and the planner can be had."""
        threads = all(thread.is_alive() for thread in self._threads)
        return self._closed or (threads and self._planner.is_alive)

    def _work(self) -> None:
        while (chosen := self._take()) is not None:
            begin, is_done = time.monotonic(), True
            try:
                is_done = self._run(chosen, begin + SLICE_SECONDS)
            except Exception as error:  # whoever waits must hear, and the thread goes on
                log.error("planning went wrong", study=chosen.study, exc_info=error)
                self._agenda.forget(chosen.study)  # housekeeping asks again
            finally:
                self._put_back(chosen, is_done, time.monotonic() - begin)

    def _run(self, chosen: _Slice, until: float) -> bool:
        if chosen.warms:
            return self._planner.warm(chosen.study, until)
        return self._planner.advance(chosen.study, until)

    def _take(self) -> _Slice | None:
        """Wait for something to do; None when the service stops."""
        while True:
            self._look_up_projects()
            with self._changed:
                if self._closed:
                    return None
                if (chosen := self._chosen()) is not None:
                    return self._begun(chosen)
                if not self._unknown():
                    self._changed.wait()

    def _unknown(self) -> tuple[str, ...]:
        return tuple(s for s in (*self._waiting, *self._cold) if s not in self._projects)

    def _look_up_projects(self) -> None:
        """Ask the database, unlocked; a study that is gone is a project of its own."""
        with self._changed:
            unknown = self._unknown()
        if not unknown:
            return
        found = self._agenda.projects(unknown)
        with self._changed:
            if len(self._projects) > PROJECTS:
                self._projects.clear()
                self._had_awaited.clear()
            self._projects.update({study: found.get(study, study) for study in unknown})

    def _chosen(self) -> _Slice | None:
        for studies, warms in ((self._waiting, False), (self._cold, True)):
            free = self._firsts(study for study in studies if self._is_free(study))
            project = self._turns.next(free)
            if project is not None:
                study = free[project]
                return _Slice(study, project, warms, not warms and study in self._awaited)
        return None

    def _firsts(self, studies: Iterable[str]) -> dict[str, str]:
        """The study of each project that is next in it."""
        found: dict[str, str] = {}
        for study in studies:
            project = self._projects[study]
            first = found.setdefault(project, study)
            is_due = study in self._awaited and project not in self._had_awaited
            if is_due and first not in self._awaited:
                found[project] = study
        return found

    def _is_free(self, study: str) -> bool:
        project = self._projects.get(study)
        return project is not None and project not in self._busy and study not in self._running

    def _begun(self, chosen: _Slice) -> _Slice:
        self._busy.add(chosen.project)
        if chosen.warms:
            del self._cold[chosen.study]
        else:  # what is committed from here on needs another turn
            self._note_kind(chosen)
            self._running[chosen.study] = self._waiting.pop(chosen.study)
        return chosen

    def _note_kind(self, chosen: _Slice) -> None:
        if chosen.is_awaited:
            self._awaited.discard(chosen.study)
            self._had_awaited.add(chosen.project)
        else:
            self._had_awaited.discard(chosen.project)

    def _put_back(self, chosen: _Slice, is_done: bool, seconds: float) -> None:
        with self._changed:
            self._busy.discard(chosen.project)
            self._turns.charge(chosen.project, seconds)
            goes_on = not is_done and not self._closed
            done = None if goes_on else self._over(chosen)
            if goes_on:
                self._again(chosen)
            self._changed.notify_all()
        if done is not None:
            done.set_result(None)

    def _again(self, chosen: _Slice) -> None:
        """Queue the rest before others of its project; who waits for it goes on waiting.

        What a study has learned so far stays open until it is done: one per thread is enough. Only
        where nobody's result had asked for it, and one has meanwhile, that result's place counts.
        """
        if chosen.warms:
            self._cold[chosen.study] = None
            self._cold.move_to_end(chosen.study, last=False)
            return
        first = self._running.pop(chosen.study)
        later = self._waiting.setdefault(chosen.study, first)
        if chosen.is_awaited or chosen.study not in self._awaited:
            self._waiting.move_to_end(chosen.study, last=False)
        if chosen.is_awaited:
            self._awaited.add(chosen.study)
        if later is not first:
            later.add_done_callback(lambda _: first.set_result(None))

    def _over(self, chosen: _Slice) -> Future[None] | None:
        return None if chosen.warms else self._running.pop(chosen.study)


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
