"""Planning takes as long as it takes; nobody waits for it in a thread of the pool."""

import threading
import time
from types import MappingProxyType
from typing import Any

import pytest

from rankspace import RankVector
from rankspace.lease import Report
from rankspace.study import StudyState
from rankspace.wire import decode
from service.housekeeping import Housekeeping
from service.planning import planner, queue
from service.planning.plan import Plan
from service.studies.candidates import add_candidate
from service.studies.workflow import pause
from tests.unit.service.driver import ANYBODY, Service, holding, outcome, score

IDLE = 45


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Planners that first wait; the event, once set, lets them go on."""
    go_on, real = threading.Event(), planner.PLANNERS

    def wait(snapshot: Any) -> Plan:
        go_on.wait(timeout=30)
        return real[snapshot.head.state](snapshot)

    slowed = MappingProxyType(dict.fromkeys(real, wait))
    monkeypatch.setattr(planner, "PLANNERS", slowed)
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 2.0)
    return go_on


def test_heartbeats_do_not_wait_for_a_plan(
    service: Service, request: pytest.FixtureRequest
) -> None:
    service.submit()
    lease, other = service.claim("w1"), service.claim("w2")
    go_on = request.getfixturevalue("slow")
    idle = [
        threading.Thread(target=service.claim, args=(f"idle-{index}", 2)) for index in range(IDLE)
    ]
    idle.append(
        threading.Thread(target=service.report, args=(other, -2.5), kwargs={"worker": "w2"})
    )
    for thread in idle:
        thread.start()
    time.sleep(1)
    begin = time.monotonic()
    path = f"/v1/leases/{lease['trial_id']}/heartbeat"
    answer = service.post(path, holding(lease), "worker")
    seconds = time.monotonic() - begin
    go_on.set()
    for thread in idle:
        thread.join()
    assert answer.status_code == 200
    assert seconds < 1


def test_a_report_is_answered_before_the_study_goes_on(
    service: Service, slow: threading.Event
) -> None:
    identity = service.submit()
    slow.set()
    lease = service.claim()
    slow.clear()
    begin = time.monotonic()
    assert service.report(lease, score(lease)).json() == {"status": "accepted"}
    assert time.monotonic() - begin < queue.PATIENCE_SECONDS / 2
    assert _watermarks(service, identity) == [0]
    slow.set()
    service.sweep()
    assert _watermarks(service, identity) == [0, 1]
    service.work()
    service.sweep()
    assert service.get(f"/v1/studies/{identity}")["state"] == StudyState.DONE


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
    timer = threading.Timer(0.5, slow.set)
    timer.start()
    begin = time.monotonic()
    given = service.claim("w1")
    assert 0.3 < time.monotonic() - begin < queue.PATIENCE_SECONDS
    timer.join()
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
    begin = time.monotonic()
    given = service.claim("w1")
    assert 0.4 < time.monotonic() - begin < 5
    assert given["rank_vector"]["ranks"] == stale[given["trial_id"]]
    slow.set()


def _offers(service: Service, study: str) -> dict[int, list[int]]:
    trials = service.get(f"/v1/studies/{study}/trials")["items"]
    return {trial["id"]: trial["rank_vector"] for trial in trials if trial["offer"]}


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
        assert runtime.leases.claim("w3", ANYBODY) is not None
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

    def warm_all(self) -> None: ...


def test_housekeeping_survives_whatever_happens() -> None:
    leases: Any = _Broken()
    idle: Any = _Idle()
    housekeeping = Housekeeping(leases, idle, 0.01)
    housekeeping.start()
    deadline = time.monotonic() + 10
    while leases.turns < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert leases.turns >= 5
    assert housekeeping.is_alive
    housekeeping.stop()
