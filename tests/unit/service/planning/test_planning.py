"""Planning takes as long as it takes; nobody waits for it in a thread of the pool."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import func, select

from rankspace import RankVector
from rankspace.lease import PROTOCOL, Claim, Report
from rankspace.wire import decode
from service.housekeeping import Housekeeping
from service.planning import planner, queue
from service.planning.plan import Plan
from service.storage.db import Database
from service.storage.schema import upgrade
from service.storage.tables import WorkerRow
from service.studies.candidates import add_candidate
from service.studies.workflow import pause
from tests.unit.service.driver import ANYBODY, ON_BOTH, Service, holding, outcome, score, start
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

THREADS, IDLE = 8, 40
"""Of the service, and workers that wait: however many of them race for the same offers."""

ANSWER_SECONDS = 30.0
"""Who has no answer by then, on however busy a machine, waits for something."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Planners that first wait; the event, once set, lets them go on."""
    go_on, real = threading.Event(), planner.PLANNERS

    def held_up(snapshot: Any) -> Plan:
        go_on.wait()
        return real[snapshot.head.state](snapshot)

    slowed = MappingProxyType(dict.fromkeys(real, held_up))
    monkeypatch.setattr(planner, "PLANNERS", slowed)
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 4 * ANSWER_SECONDS)
    yield go_on
    go_on.set()


def _answer_before(go_on: threading.Event, call: Callable[[], Any]) -> Any:
    """What ``call`` comes to while the planners are held up; fails if it waits for them."""
    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(call).result(ANSWER_SECONDS)
            assert not go_on.is_set()
            return answer
        except TimeoutError:
            go_on.set()
            raise


@pytest.fixture
def narrow(directory: Path) -> Iterator[Service]:
    """A service with few threads."""
    running = start(directory, threads=THREADS)
    with running.client:
        yield running


def test_heartbeats_do_not_wait_for_a_plan(narrow: Service, request: pytest.FixtureRequest) -> None:
    narrow.submit()
    lease, other = narrow.claim("w1"), narrow.claim("w2")
    go_on = request.getfixturevalue("slow")
    _answer_before(go_on, lambda: narrow.report(other, -2.5, worker="w2"))
    with ThreadPoolExecutor(IDLE) as pool:
        idle = [pool.submit(narrow.claim, f"idle-{index}", 30) for index in range(IDLE)]
        try:
            wait_for(lambda: _workers(narrow) == IDLE + 2)
            path = f"/v1/leases/{lease['trial_id']}/heartbeat"
            answer = _answer_before(go_on, lambda: narrow.post(path, holding(lease), "worker"))
            assert answer.status_code == 200
            assert sum(claim.done() for claim in idle) < 7  # the others wait
        finally:
            go_on.set()
            narrow.app.state.runtime.doorbell.close()


def _workers(service: Service) -> int:
    with service.app.state.runtime.database.reading() as session:
        return session.scalar(select(func.count()).select_from(WorkerRow)) or 0


def test_a_report_is_answered_before_the_study_goes_on(
    service: Service, slow: threading.Event
) -> None:
    slow.set()
    identity = service.submit()
    lease = service.claim()
    slow.clear()
    answer = _answer_before(slow, lambda: service.report(lease, score(lease)))
    assert answer.json() == {"status": "accepted"}
    assert _watermarks(service, identity) == [0]
    slow.set()
    service.sweep()
    assert _watermarks(service, identity) == [0, 1]
    service.work(1)
    service.sweep()
    assert _watermarks(service, identity) == [0, 1, 2]


def _watermarks(service: Service, study: str) -> list[int]:
    """How many results each round of proposals knew."""
    events = service.get(f"/v1/studies/{study}/events?limit=1000")["items"]
    return [e["content"]["watermark"] for e in events if e["kind"] == "proposed"]


def test_a_claim_waits_for_the_plan_that_an_earlier_result_caused(
    service: Service, slow: threading.Event
) -> None:
    slow.set()
    identity = service.submit()
    held, lease = service.claim("w2"), service.claim("w1")
    service.claim("w3")
    service.sweep()
    slow.clear()
    stale = _offers(service, identity)
    service.report(lease, -2.5)
    with ThreadPoolExecutor(1) as pool:
        claim = pool.submit(service.claim, "w1")
        assert not wait([claim], timeout=0.5).done
        slow.set()
        given = claim.result(ANSWER_SECONDS)
    assert _watermarks(service, identity)[-1] == 1
    assert given["trial_id"] in stale
    assert given["rank_vector"]["ranks"] != stale[given["trial_id"]]
    service.report(held, -2.5, worker="w2")


def test_a_claim_waits_for_a_plan_no_longer_than_its_patience(
    service: Service, slow: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 0.5)
    slow.set()
    identity = service.submit()
    lease = service.claim("w1")
    service.claim("w2")
    service.sweep()
    slow.clear()
    stale = _offers(service, identity)
    service.report(lease, -2.5)
    given = _answer_before(slow, lambda: service.claim("w1"))
    assert given["rank_vector"]["ranks"] == stale[given["trial_id"]]


def _offers(service: Service, study: str) -> dict[int, list[int]]:
    trials = service.get(f"/v1/studies/{study}/trials")["items"]
    return {trial["id"]: trial["rank_vector"] for trial in trials if trial["offer"]}


@ON_BOTH
def test_a_result_that_arrives_during_a_plan_does_not_undo_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = service.submit()
    held = service.claim("w2")
    lease = service.claim("w1")
    real = planner.PLANNERS
    rounds: list[Plan] = []

    def report_meanwhile(snapshot: Any) -> Plan:
        plan = real[snapshot.head.state](snapshot)
        rounds.append(plan)
        if len(rounds) == 1:
            runtime = service.app.state.runtime
            body = {**outcome(held, -2.4), "worker": "w2"}
            runtime.leases.report(held["trial_id"], decode(Report, body), ANYBODY)
        return plan

    monkeypatch.setattr(
        planner, "PLANNERS", MappingProxyType(dict.fromkeys(real, report_meanwhile))
    )
    service.report(lease, -2.5)
    service.sweep()
    service.sweep()  # the first may have waited for the turn of the report only
    assert [mark for mark in _watermarks(service, identity) if mark] == [1, 2]


@ON_BOTH
@pytest.mark.parametrize("word", ["candidate", "claim", "pause"])
def test_a_plan_is_made_anew_when_somebody_else_acted_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    identity = service.submit()
    service.claim("w2")
    lease = service.claim("w1")
    real = planner.PLANNERS
    rounds: list[Plan] = []

    def act_meanwhile(snapshot: Any) -> Plan:
        plan = real[snapshot.head.state](snapshot)
        rounds.append(plan)
        if len(rounds) == 1:
            _act(service, identity, word)
        return plan

    monkeypatch.setattr(planner, "PLANNERS", MappingProxyType(dict.fromkeys(real, act_meanwhile)))
    service.report(lease, -2.5)
    service.sweep()
    again = [plan.watermark for plan in rounds]
    assert again[0] == 1
    assert again[1:2] == ([] if word == "pause" else [1])
    assert _watermarks(service, identity).count(1) == (word != "pause")


def _act(service: Service, study: str, word: str) -> None:
    """What people and workers do, without asking for planning."""
    runtime = service.app.state.runtime
    if word == "claim":
        assert runtime.leases.claim(Claim("w3", PROTOCOL), ANYBODY) is not None
        return
    with runtime.database.writing() as session:
        if word == "pause":
            pause(session, study)
        else:
            add_candidate(session, study, RankVector((1,) * 12))


class _Broken:
    """A service of leases whose first turn works and whose second does not."""

    turns = 0

    def sweep(self) -> None:
        self.turns += 1
        if self.turns == 2:
            raise MemoryError("planted")


class _Idle:
    def ask_all(self) -> tuple[()]:
        return ()

    def ask_news(self) -> tuple[()]:
        return ()

    def warm_all(self) -> None: ...


def test_housekeeping_survives_whatever_happens(tmp_path: Path) -> None:
    leases: Any = _Broken()
    idle: Any = _Idle()
    database = Database(f"sqlite:///{tmp_path / 'd.sqlite'}")
    upgrade(database)
    housekeeping = Housekeeping(leases, idle, idle, database, 0.01)
    housekeeping.start()
    wait_for(lambda: leases.turns >= 5)
    assert housekeeping.is_alive
    housekeeping.stop()
    database.close()
