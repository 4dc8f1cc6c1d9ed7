"""Which pending plans a claim waits for: those that may change which trial it gets."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from rankspace.study import Budget
from service.leases.choosing import UNLEARNED, Choice, NextTrial, PlannedStudy, choice
from service.planning import planner, queue
from service.planning.plan import Plan
from service.planning.snapshot import Snapshot
from service.web.routers import leases
from tests.unit.service.driver import ON_SQLITE, Service, score
from tests.waiting import wait_for

ANSWER_SECONDS = 30.0
"""Who has no answer by then, on however busy a machine, waits for something."""

LATE_SECONDS = 0.1
"""How much later than the next claims a plan comes."""

LONG = {"budget": {"parameters": "uniform:2", "trials": 40}, "trial": {"steps": 10}}
"""A search far from its end."""

NEXT = NextTrial("b", "p", (1, 0))
FAR = PlannedStudy("a", "p", "searching", 1, 10, 1, Budget("uniform:2", trials=10 + UNLEARNED + 2))


@pytest.mark.parametrize(
    ("following", "changes"),
    [
        (NEXT, {"study": "b"}),
        (NEXT, {"project": "q"}),
        (NEXT, {"to_load": 0}),
        (NEXT, {"state": "verifying"}),
        (NEXT, {"state": "surveying"}),
        (NEXT, {"unfinished": 2}),
        (NEXT, {"results": 11}),
        (NEXT, {"budget": replace(FAR.budget, gpu_hours=1.0)}),
        (replace(NEXT, place=(1, 1)), {}),
    ],
)
def test_a_claim_hangs_on_plans_that_may_go_before_what_is_next(
    following: NextTrial, changes: dict[str, Any]
) -> None:
    one = replace(FAR, **changes)
    assert choice(following, ["gone", one.study], [one]) == Choice("b", (one.study,))


@pytest.mark.parametrize(
    ("following", "changes"),
    [
        (NEXT, {}),
        (replace(NEXT, place=(0, 0)), {"state": "verifying"}),
        (replace(NEXT, place=(1, -1)), {"state": "verifying"}),
        (replace(NEXT, place=(0, 0)), {"to_load": 0}),
    ],
)
def test_a_claim_does_not_hang_on_plans_that_come_behind_what_is_next(
    following: NextTrial, changes: dict[str, Any]
) -> None:
    assert choice(following, ["a"], [replace(FAR, **changes)]) == Choice("b")


def test_with_nothing_queued_a_claim_hangs_on_the_first_result_s_plan() -> None:
    assert choice(None, ["a", "c"], []) == Choice(None, ("a",))
    assert choice(None, [], []) == Choice(None)


def _patched(monkeypatch: pytest.MonkeyPatch, before: Callable[[], object]) -> None:
    """Have every plan come after ``before``."""
    real = planner.PLANNERS

    def late(snapshot: Snapshot) -> Plan:
        before()
        return real[snapshot.head.state](snapshot)

    monkeypatch.setattr(planner, "PLANNERS", MappingProxyType(dict.fromkeys(real, late)))
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 4 * ANSWER_SECONDS)


@pytest.mark.slow
def test_a_claim_of_another_study_s_trial_waits_for_no_plan(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (service.submit(name=name, search=LONG) for name in "ab")
    lease, go_on = service.claim(), threading.Event()
    _patched(monkeypatch, go_on.wait)
    assert lease["study_id"] == first
    service.report(lease, score(lease))
    with ThreadPoolExecutor(1) as pool:
        try:
            other = pool.submit(service.claim).result(ANSWER_SECONDS)
            assert other["study_id"] == second
            service.report(other, score(other))
            third = pool.submit(service.claim)
            assert not wait([third], timeout=0.5).done  # nothing is queued but what is planned
        finally:
            go_on.set()
        assert third.result(ANSWER_SECONDS)["study_id"] == first


def _trials(service: Service, after: Callable[[], object]) -> list[Any]:
    """What one worker gets of three studies in two projects, from the first trial to the last."""
    names = {service.submit(p, name=f"{p} {n}"): f"{p} {n}" for p, n in ("dx", "dy", "ez")}
    given = []
    while lease := service.claim():
        given.append((names[lease["study_id"]], lease["purpose"], lease["rank_vector"]["ranks"]))
        service.report(lease, score(lease))
        after()
    return given


@ON_SQLITE  # who waits for which plan is decided above the database
@pytest.mark.slow
def test_one_worker_gets_the_same_trials_however_late_the_plans_are(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning, ahead = service.app.state.runtime.planning, []
    expected = _trials(service, lambda: wait(planning.under_way()))
    _patched(monkeypatch, lambda: time.sleep(LATE_SECONDS))

    def disturbed() -> None:
        ahead.append(len(planning.under_way()))
        planning.ask_news()

    assert _trials(service, disturbed) == expected
    assert max(ahead) > 1


def _hold(service: Service, monkeypatch: pytest.MonkeyPatch, held: str) -> threading.Event:
    """Have the plans of one study wait until the event is set, as it is now."""
    real, go_on = planner.PLANNERS, threading.Event()
    go_on.set()

    def late(snapshot: Snapshot) -> Plan:
        if snapshot.results.id == held:
            go_on.wait(ANSWER_SECONDS)
        return real[snapshot.head.state](snapshot)

    monkeypatch.setattr(planner, "PLANNERS", MappingProxyType(dict.fromkeys(real, late)))
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 4 * ANSWER_SECONDS)
    return go_on


@pytest.mark.slow
def test_where_several_share_a_study_a_claim_waits_but_a_moment_for_its_own_plan(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker it would wait until the test goes on."""
    monkeypatch.setattr(leases, "SHARED_SECONDS", 0.05)
    study, workers = service.submit(search=LONG), ("one", "other", "one", "other")
    held = {worker: service.claim(worker) for worker in workers[:2]}
    for worker in workers[:-1]:
        service.report(held[worker], score(held[worker]), worker=worker)
        held[worker] = service.claim(worker)
    planning = service.app.state.runtime.planning
    wait(planning.under_way())
    trials = service.get(f"/v1/studies/{study}/trials")["items"]
    offered = [trial["id"] for trial in trials if trial["state"] == "queued"]
    go_on = _hold(service, monkeypatch, held=study)
    go_on.clear()
    service.report(held["other"], score(held["other"]), worker="other")
    with ThreadPoolExecutor(1) as pool:
        try:
            given = pool.submit(service.claim, "other").result(ANSWER_SECONDS / 2)
        finally:
            go_on.set()
    assert planning.is_shared([study])
    assert given["trial_id"] in offered


@pytest.mark.slow
@pytest.mark.parametrize("looks", [False, True])
def test_one_worker_gets_the_same_trials_whenever_housekeeping_looks(
    service: Service, monkeypatch: pytest.MonkeyPatch, looks: bool
) -> None:
    """It looks while the third study is planned, and finds the first two, whose trials run on."""
    planning, given = service.app.state.runtime.planning, ""
    names = {service.submit(name=name, search=LONG): name for name in "abcd"}

    def given_next() -> str:
        lease = service.claim()
        service.report(lease, score(lease))
        return names[lease["study_id"]]

    given = given_next() + given_next()
    wait(planning.under_way())
    go_on = _hold(service, monkeypatch, held=next(s for s, name in names.items() if name == "c"))
    go_on.clear()
    given += given_next()
    wait_for(lambda: planning._running)
    if looks:
        assert planning.ask_news()
    given += given_next() + given_next()
    go_on.set()
    given += "".join(given_next() for _ in range(5))
    assert given == "abcdabcdab"
