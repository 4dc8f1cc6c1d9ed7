"""Whoever looks at studies keeps no worker from its lease, and no one else from an answer."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.web.errors import ErrorBody
from service.web.routers import insights, leases
from tests.unit.service.driver import holding
from tests.unit.service.web.socket_server import Served, serving
from tests.waiting import wait_for

LOOKS = 3
"""Of one key at a time, here."""


@pytest.fixture
def served(directory: Path) -> Iterator[Served]:
    """A service with the fewest threads it may have."""
    with serving(directory, threads=4, looks_per_key=LOOKS) as running:
        yield running


class Gate:
    """Stands in a function's place: lets nobody through while it is shut."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.inside = 0
        self.opened = threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.inside += 1
        self.opened.wait()
        return self.function(*args, **kwargs)


@contextmanager
def shut(patch: pytest.MonkeyPatch, name: str) -> Iterator[Gate]:
    patch.setattr(name, gate := Gate(_found(name)))
    try:
        yield gate
    finally:
        gate.opened.set()
        patch.undo()


def _found(name: str) -> Any:
    module, _, function = name.rpartition(".")
    return getattr(__import__(module, fromlist=[function]), function)


@contextmanager
def asking(
    served: Served, path: str, key: dict[str, str], times: int
) -> Iterator[list[Future[httpx.Response]]]:
    with (
        httpx.Client(base_url=served.url, headers=key, timeout=60) as client,
        ThreadPoolExecutor(times) as pool,
    ):
        yield [pool.submit(client.get, path) for _ in range(times)]


def _answers(served: Served, assignment: dict[str, Any]) -> dict[str, int]:
    """What a worker hears, and those who do not look closely."""
    beat = f"/v1/leases/{assignment['trial_id']}/heartbeat"
    stale = holding(assignment, token=99)
    with httpx.Client(base_url=served.url, timeout=20) as client:
        worker, admin = served.service.key("worker"), served.service.key("admin")
        return {
            "heartbeat": client.post(beat, json=holding(assignment), headers=worker).status_code,
            "refused": client.post(beat, json=stale, headers=worker).status_code,
            "claim": client.post(
                "/v1/leases", json={"worker": "w2", "protocol": 2}, headers=worker
            ).status_code,
            "login": client.get("/login").status_code,
            "ready": client.get("/readyz").status_code,
            "studies": client.get("/v1/studies", headers=admin).status_code,
        }


WELL = {
    "heartbeat": 200, "refused": 409, "claim": 201, "login": 200, "ready": 200, "studies": 200,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("service.insights.making.written", "front"),
        ("service.web.routers.trials.view", "trials"),
        ("service.web.routers.studies.fitting", "events"),
    ],
)
def test_who_looks_closely_holds_up_nobody_else_and_hears_so(
    served: Served, monkeypatch: pytest.MonkeyPatch, what: str, path: str
) -> None:
    study = served.service.submit()
    assignment = served.service.claim()
    with shut(monkeypatch, what) as gate:
        viewer = served.service.issue("viewer")
        with asking(served, f"/v1/studies/{study}/{path}", viewer, LOOKS + 1) as asked:
            wait_for(lambda: gate.inside and any(one.done() for one in asked))
            (refused,) = [one.result() for one in asked if one.done()]
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert "RANKADAPTOR_LOOKS_PER_KEY" in ErrorBody(**refused.json()).hint
            assert _answers(served, assignment) == WELL
            gate.opened.set()
            codes = {one.result().status_code for one in asked if one.result() is not refused}
            assert codes == {409 if path == "front" else 200}  # no trial has a score


@pytest.mark.slow
def test_workers_have_threads_of_their_own(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.service.submit()
    assignment = served.service.claim()
    wait = "service.web.routers.models.view"
    with (
        shut(monkeypatch, wait) as gate,
        asking(served, "/v1/models", served.service.issue("viewer"), 8),
    ):
        wait_for(lambda: gate.inside == 1)
        beat = f"{served.url}/v1/leases/{assignment['trial_id']}/heartbeat"
        for token, code in ((assignment["token"], 200), (99, 409)):
            body, worker = holding(assignment, token=token), served.service.key("worker")
            assert httpx.post(beat, json=body, headers=worker, timeout=20).status_code == code
        gate.opened.set()


def test_nothing_of_a_lease_is_left_to_everybodys_threads() -> None:
    for route in leases.router.routes:
        assert isinstance(route, APIRoute)
        for call in _calls(route.dependant):
            assert iscoroutinefunction(call), f"{route.path}: {call} would take one of theirs"


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for beneath in dependant.dependencies:
        yield from _calls(beneath)


@pytest.mark.slow
def test_what_takes_too_long_is_not_waited_for_but_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = served.service.submit()
    served.service.work(2)
    path, admin = f"/v1/studies/{study}/front", served.service.key("admin")
    with shut(monkeypatch, "service.insights.making.written") as gate:
        with monkeypatch.context() as patch:
            patch.setattr(insights, "LOOK_SECONDS", 0.05)
            early = httpx.get(served.url + path, headers=admin, timeout=20)
        assert (early.status_code, early.json()["error"]) == (503, "Unreachable")
        assert study in early.json()["detail"]
        assert int(early.headers["retry-after"]) >= 1
        wait_for(lambda: gate.inside == 1)
        gate.opened.set()
        late = httpx.get(served.url + path, headers=admin, timeout=20)
        assert late.status_code == 200
