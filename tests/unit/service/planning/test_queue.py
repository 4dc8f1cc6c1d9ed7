"""The threads that plan: fair between projects, in slices, and gone when the service stops."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest

from service.planning.planner import THREADS
from service.planning.queue import PlanningQueue
from service.studies.repository import Studies
from tests.unit.service.driver import ON_SQLITE, Service
from tests.waiting import wait_for

SECONDS = 30.0


class Scripted:
    """Planner and agenda; studies are called ``project/name`` and take as long as they are told."""

    def __init__(self) -> None:
        self.slices: list[str] = []
        self.left: dict[str, int] = {}
        self.held: dict[str, threading.Event] = {}
        self.broken: set[str] = set()
        self.stopped = False
        self.active_now: list[str] = []
        self.forgotten: list[str] = []

    def projects(self, studies: Any) -> dict[str, str]:
        return {study: study.partition("/")[0] for study in studies if "/" in study}

    def active(self) -> list[str]:
        return self.active_now

    def forget(self, study: str) -> None:
        self.forgotten.append(study)

    def stop(self) -> None:
        self.stopped = True

    def advance(self, study: str, until: float) -> bool:
        assert until > time.monotonic() - 1
        self.slices.append(study)
        if study in self.broken:
            raise RuntimeError("planted")
        if study in self.held:
            self.held[study].wait(SECONDS)
        self.left[study] = self.left.get(study, 1) - 1
        return self.left[study] <= 0


@pytest.fixture
def planner() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    for held in scripted.held.values():
        held.set()


@pytest.fixture
def queue(planner: Scripted) -> Iterator[PlanningQueue]:
    planning = PlanningQueue(planner, planner)  # type: ignore[arg-type]
    yield planning
    for held in planner.held.values():
        held.set()
    planning.close()


def test_a_study_that_never_ends_leaves_a_thread_to_other_projects(
    planner: Scripted, queue: PlanningQueue
) -> None:
    for number in range(2 * THREADS):
        planner.held[f"evil/{number}"] = threading.Event()
        queue.ask(f"evil/{number}")
    wait_for(lambda: planner.slices)
    queue.ask("good/1").result(SECONDS)
    queue.ask("good/2").result(SECONDS)
    assert [study for study in planner.slices if study.startswith("evil")] == ["evil/0"]


def test_what_is_not_done_in_a_slice_goes_on_before_others_of_its_project(
    planner: Scripted, queue: PlanningQueue
) -> None:
    planner.left["a/long"] = 50
    planner.held["a/long"] = threading.Event()
    long = queue.ask("a/long")
    wait_for(lambda: planner.slices)
    short = queue.ask("a/short")
    planner.held["a/long"].set()
    short.result(SECONDS)
    assert long.done()
    assert planner.slices == [*["a/long"] * 50, "a/short"]


def test_a_study_whose_worker_waits_goes_before_others_of_its_project_in_turn(
    planner: Scripted, queue: PlanningQueue
) -> None:
    planner.held["a/first"] = threading.Event()
    queue.ask("a/first")
    wait_for(lambda: planner.slices)
    others = [queue.ask(f"a/{number}") for number in range(4)]
    awaited = [queue.ask(f"a/awaited {number}", f"w{number}") for number in range(2)]
    awaited.append(queue.ask("a/3", "w3"))
    planner.held["a/first"].set()
    for future in (*others, *awaited):
        future.result(SECONDS)
    names = ["awaited 0", "0", "awaited 1", "1", "3", "2"]
    assert planner.slices == ["a/first", *(f"a/{name}" for name in names)]


def test_what_results_ask_for_is_planned_in_their_order(
    planner: Scripted, queue: PlanningQueue
) -> None:
    """Nothing of the project that is asked for later comes before, however many slices it takes."""
    planner.held["a/first"] = threading.Event()
    queue.ask("a/first", "w1")
    wait_for(lambda: planner.slices)
    asked = [queue.ask("a/second", "w1"), queue.ask("a/news"), queue.ask("a/third", "w1")]
    assert list(queue.asked_by("w1")) == ["a/first", "a/second", "a/third"]
    planner.left["a/second"] = 3
    planner.held["a/first"].set()
    for future in asked:
        future.result(SECONDS)
    assert planner.slices == ["a/first", *["a/second"] * 3, "a/news", "a/third"]
    assert queue.asked_by("w1") == {}


def test_what_the_start_asks_for_every_worker_s_claim_waits_for(
    planner: Scripted, queue: PlanningQueue
) -> None:
    """The service before died after a result and before its plan: an old offer must not go out."""
    planner.active_now = ["a/one", "b/two"]
    planner.held["a/one"] = threading.Event()
    (one, two) = queue.ask_all()
    two.result(SECONDS)
    later = queue.ask("a/one", "w1")
    assert queue.asked_by("w1") == {"a/one": later}
    assert queue.asked_by("w2") == {"a/one": one}
    planner.held["a/one"].set()
    later.result(SECONDS)
    assert queue.asked_by("w2") == {}


def test_a_place_of_before_its_result_is_no_result_s(
    planner: Scripted, queue: PlanningQueue
) -> None:
    planner.held["a/first"] = threading.Event()
    queue.ask("a/first", "w1")
    wait_for(lambda: planner.slices)
    queue.ask("a/x")
    asked = [queue.ask("a/b", "w1"), queue.ask("a/x", "w1")]
    planner.held["a/first"].set()
    for future in asked:
        future.result(SECONDS)
    assert planner.slices == ["a/first", "a/b", "a/x"]


@pytest.mark.parametrize("first", ["w1", None])
def test_a_slice_that_no_result_asked_for_gives_a_later_one_no_place(
    planner: Scripted, queue: PlanningQueue, first: str | None
) -> None:
    planner.held["a/x"] = threading.Event()
    planner.left["a/x"] = 3
    begun = queue.ask("a/x", first)
    wait_for(lambda: planner.slices)
    asked = [begun, queue.ask("a/b", "w1"), queue.ask("a/x", "w1")]
    planner.held["a/x"].set()
    for future in asked:
        future.result(SECONDS)
    one, other = ["a/x"] * 3, ["a/x", "a/b", "a/x", "a/x"]
    assert planner.slices == ([*one, "a/b"] if first else other)


def test_who_asks_after_one_study_hears_of_that_alone(
    planner: Scripted, queue: PlanningQueue
) -> None:
    planner.held["a/x"] = threading.Event()
    running = queue.ask("a/x")
    wait_for(lambda: planner.slices)
    again, other = queue.ask("a/x"), queue.ask("a/y")
    assert queue.under_way("a/x") == (running, again)
    assert queue.under_way("a/y") == (other,)
    assert queue.under_way("a/z") == ()


def test_what_is_not_done_in_a_slice_lets_other_projects_go_first(
    planner: Scripted, queue: PlanningQueue
) -> None:
    """With one more long study than threads, each of a project of its own."""
    names = [f"p{number}/long" for number in range(THREADS + 1)]
    for name in names:
        planner.left[name] = 50
        planner.held[name] = threading.Event()
    asked = [queue.ask(name) for name in names]
    wait_for(lambda: len(planner.slices) == THREADS)
    for held in planner.held.values():
        held.set()
    for future in asked:
        future.result(SECONDS)
    assert planner.slices.index(names[-1]) <= 2 * THREADS
    assert len(planner.slices) == 50 * len(names)


def test_who_asks_during_a_slice_hears_after_a_later_one(
    planner: Scripted, queue: PlanningQueue
) -> None:
    planner.held["a/x"] = threading.Event()
    first = queue.ask("a/x")
    wait_for(lambda: planner.slices)
    second = queue.ask("a/x")
    assert second is not first
    assert queue.ask("a/x") is second
    assert set(queue.under_way()) == {first, second}
    planner.left["a/x"] = 3
    planner.held["a/x"].set()
    second.result(SECONDS)
    first.result(SECONDS)
    assert planner.slices == ["a/x"] * 3
    assert queue.under_way() == ()


def test_a_planner_that_breaks_holds_up_nobody(planner: Scripted, queue: PlanningQueue) -> None:
    planner.broken.add("a/x")
    for _ in range(2 * THREADS):
        queue.ask("a/x").result(SECONDS)
    queue.ask("a/y").result(SECONDS)
    assert planner.forgotten == ["a/x"] * 2 * THREADS  # housekeeping asks again


def test_the_threads_outlive_a_database_that_cannot_tell_projects(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()

    def broken(*_: object) -> None:
        raise MemoryError("planted")

    planning = service.app.state.runtime.planning
    planning._projects.clear()
    monkeypatch.setattr(Studies, "projects", broken)
    for _ in range(2 * THREADS):
        planning.ask(study).result(SECONDS)
        planning._projects.clear()
    assert planning.is_alive


@ON_SQLITE
def test_memory_that_ran_out_fails_no_study(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()

    def broken(*_: object) -> None:
        raise MemoryError("planted")

    with monkeypatch.context() as patch:
        patch.setattr("service.planning.planner.read_snapshot", broken)
        service.sweep()
        assert service.get(f"/v1/studies/{study}")["state"] == "searching"
    assert service.app.state.runtime.planning._agenda.news() == [study]
    service.work()
    assert service.get(f"/v1/studies/{study}")["state"] == "done"


def test_a_study_that_is_gone_is_planned_to_its_end(
    planner: Scripted, queue: PlanningQueue
) -> None:
    queue.ask("gone").result(SECONDS)
    assert planner.slices == ["gone"]


def test_closing_waits_for_nobody_who_does_not_end(planner: Scripted, queue: PlanningQueue) -> None:
    planner.held["a/x"] = threading.Event()
    queue.ask("a/x")
    wait_for(lambda: planner.slices)
    waiting = queue.ask("a/y")
    queue.close(patience=0.1)
    assert planner.stopped
    assert wait([waiting, queue.ask("a/z")], SECONDS).not_done == set()
    assert planner.slices == ["a/x"]


@pytest.mark.parametrize(
    ("bringers", "shared"),
    [
        ("a", False),
        ("aaaa", False),
        ("aab", False),
        ("aabb", False),  # it was started anew, by another name
        ("aba", True),
        ("abc", True),
        ("aabcc", False),
        ("abab", True),
    ],
)
def test_a_study_is_shared_whose_last_results_came_from_several_in_turn(
    queue: PlanningQueue, bringers: str, shared: bool
) -> None:
    queue.ask("p/other", "z")
    for worker in bringers:
        queue.ask("p/study", worker)
        queue.ask("p/study")  # nobody's result
    assert queue.is_shared(["p/study"]) == queue.is_shared(["gone", "p/study"]) == shared
    assert not queue.is_shared(["p/other", "gone"])
