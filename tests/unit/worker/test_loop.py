"""The worker's loop on real trials, against a real HTTP server with scripted answers."""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import SecretStr
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement, RankVector
from rankspace.errors import Forbidden, InvalidInput, RankspaceError
from rankspace.recipe import Optimizer
from rankspace.wire import decode
from tests.unit.worker.starting import (
    ENDLESS,
    NO_WORK,
    SECONDS,
    Answer,
    Assign,
    Start,
    at_step,
    granted,
)
from tests.waiting import wait_for
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import PAUSE_SECONDS
from worker.lease.report import SpooledReport
from worker.run import run
from worker.settings import Settings

pytestmark = pytest.mark.slow

LOST: Answer = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
ACCEPTED: Answer = (200, {"status": "accepted"})


MAIN = threading.main_thread().ident or 0


def terminate() -> None:
    """Send this process a signal; it arrives in the main thread, which trains and waits."""
    signal.pthread_kill(MAIN, signal.SIGTERM)


def test_a_trial_is_claimed_run_and_reported(service: Any, worker: Start, assign: Assign) -> None:
    service.say("claim", granted(assign()), granted(assign(trial_id=2, keep_adapter=True)), NO_WORK)
    assert worker().run() == 2
    first, second = (decode(Measurement, body["measurement"]) for body in service.bodies("report"))
    assert first.loss == second.loss
    routes = [route for route, _, _ in service.seen]
    assert routes[:7] == ["claim", "report", "claim", "upload", "upload", "upload", "report"]


def test_a_failing_trial_is_reported_and_the_worker_goes_on(
    service: Any, worker: Start, assign: Assign
) -> None:
    wild = replace(
        assign().recipe, optimizer=Optimizer(learning_rate=1e30, warmup_steps=0, gradient_clip=1e9)
    )
    service.say("claim", granted(assign(recipe=wild)), granted(assign(trial_id=2)), NO_WORK)
    assert worker().run() == 2
    reports = service.bodies("report")
    assert [body["outcome"] for body in reports] == ["failed", "done"]
    assert reports[0]["measurement"] is None
    assert re.search(r"loss is .*; lower recipe\.optimizer\.learning_rate", reports[0]["error"])


def test_an_unexpected_exception_is_a_failed_trial(
    service: Any, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("worker.trial.evaluation.train", broken)
    service.say("claim", granted(assign()), NO_WORK)
    assert worker().run() == 1
    assert service.bodies("report")[0]["error"] == "ZeroDivisionError: surprise"


def test_a_trial_given_back_undone_is_told_without_a_reason(
    service: Any, worker: Start, assign: Assign
) -> None:
    """A service of the release before refuses a body that has one."""
    service.say("claim", granted(assign(steps=ENDLESS)), NO_WORK)
    drain = Drain()
    worker(drain=drain, hook=at_step(2, drain.request)).run()
    (released,) = service.bodies("release")
    assert sorted(released) == ["study_id", "token", "worker"]


def test_a_worker_whose_gpu_broke_reports_the_trial_and_leaves(
    service: Any, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After such an error every call fails until the process ends."""

    def broken(*_: Any, **__: Any) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("worker.trial.evaluation.train", broken)
    service.say("claim", granted(assign()), NO_WORK)
    with pytest.raises(RankspaceError, match="unspecified launch failure"):
        worker().run()
    assert [body["outcome"] for body in service.bodies("report")] == ["failed"]
    assert len(service.bodies("claim")) == 1


def test_the_lease_is_renewed_while_files_are_uploaded(
    service: Any, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats_before: list[int] = []
    upload = LeaseClient.upload

    def slow(self: LeaseClient, report: SpooledReport, file: Path) -> None:
        beats_before.append(len(service.bodies("heartbeat")))
        wait_for(lambda: len(service.bodies("heartbeat")) > beats_before[-1] + 1, SECONDS)
        upload(self, report, file)

    monkeypatch.setattr(LeaseClient, "upload", slow)
    kept = assign(keep_adapter=True, steps=1, heartbeat_seconds=0.02)
    service.say("claim", granted(kept), NO_WORK)
    assert worker(max_trials=1).run() == 1
    assert len(beats_before) == 3
    assert len(service.bodies("report")) == 1


def test_a_lost_lease_is_an_answer(service: Any, worker: Start, assign: Assign) -> None:
    endless = assign(heartbeat_seconds=0.02, steps=ENDLESS)
    service.say("heartbeat", LOST)
    service.say("claim", granted(endless), granted(assign(trial_id=2)), NO_WORK)
    assert worker().run() == 2
    assert [path for route, path, _ in service.seen if route == "report"] == ["/v1/leases/2/report"]


def test_an_undelivered_trial_is_not_run_again(service: Any, worker: Start, assign: Assign) -> None:
    """While the report is under way, a claim brings the same lease."""
    drain = Drain()

    def accepted_at_last() -> Answer:
        drain.request()
        return ACCEPTED

    service.say("report", (503, {}), (503, {}), accepted_at_last)
    service.say("claim", granted(assign()))
    assert worker(drain, until_idle_seconds=None).run() == 1
    assert len(service.bodies("report")) == 3


def test_a_finished_trial_needs_no_room_on_the_disk(
    service: Any, worker: Start, assign: Assign, tmp_path: Path
) -> None:
    service.say("claim", granted(assign()), granted(assign(trial_id=2)), NO_WORK)
    service.say("report", ACCEPTED)
    (tmp_path / "spool").rmdir()
    assert worker().run() == 2
    assert [body["outcome"] for body in service.bodies("report")] == ["done", "done"]


def test_a_worker_does_not_leave_with_a_report_that_only_it_has(
    service: Any, worker: Start, assign: Assign, tmp_path: Path
) -> None:
    away: Answer = (503, {"error": "Unreachable", "detail": "no database"})
    service.say("claim", granted(assign()), NO_WORK)
    service.say("report", away, away, away, away, ACCEPTED)
    (tmp_path / "spool").rmdir()
    assert worker(max_trials=1).run() == 1
    assert len(service.bodies("report")) == 5


def test_a_worker_told_to_leave_says_which_reports_are_lost(
    service: Any, worker: Start, assign: Assign, tmp_path: Path
) -> None:
    drain = Drain()

    def away() -> Answer:
        drain.request()
        return 503, {"error": "Unreachable", "detail": "no database"}

    service.say("claim", granted(assign()), NO_WORK)
    service.say("report", away)
    (tmp_path / "spool").rmdir()
    with capture_logs() as logs:
        assert worker(drain).run() == 1
    assert logs[-1] == {"event": "reports_lost", "reports": 1, "log_level": "error"}


def test_the_worker_outlasts_an_absent_service(service: Any, worker: Start, assign: Assign) -> None:
    service.say("claim", *[(503, {})] * 5, granted(assign()))
    assert worker(max_trials=1, until_idle_seconds=None).run() == 1


def test_a_drain_from_the_service_finishes_the_trial(
    service: Any, worker: Start, assign: Assign
) -> None:
    service.say("heartbeat", (200, {"lease_seconds": 9, "action": "drain"}))
    service.say("claim", granted(assign(heartbeat_seconds=0.01, steps=6)), NO_WORK)

    def heard() -> bool:
        return len(service.bodies("heartbeat")) > 1  # the second comes after the first was heeded

    assert worker(hook=at_step(2, lambda: wait_for(heard, SECONDS))).run() == 1
    assert service.bodies("report")[0]["outcome"] == "done"
    assert len(service.bodies("claim")) == 1


def test_a_signal_gives_the_running_trial_back(
    service: Any, worker: Start, assign: Assign, signals: Drain
) -> None:
    service.say("claim", granted(assign(steps=ENDLESS)), NO_WORK)
    assert worker(signals, at_step(2, terminate)).run() == 0
    assert service.bodies("report") == []
    assert service.bodies("release") == [{"worker": "w1", "token": 1, "study_id": "st_1"}]
    assert len(service.bodies("claim")) == 1


def test_a_signal_ends_the_wait_for_work_at_once(
    service: Any, worker: Start, signals: Drain
) -> None:
    left = threading.Event()
    waited: list[bool] = []

    def signal_and_wait() -> Answer:
        terminate()
        waited.append(left.wait(SECONDS))
        return NO_WORK

    service.say("claim", signal_and_wait, NO_WORK)
    assert worker(signals, until_idle_seconds=None, wait_seconds=SECONDS).run() == 0
    assert waited == []
    left.set()
    assert len(service.bodies("claim")) == 2, "it asks whether it was granted one meanwhile"


@pytest.mark.slow
def test_a_signal_lets_a_trial_that_is_nearly_done_finish(
    service: Any, worker: Start, assign: Assign, signals: Drain
) -> None:
    service.say("claim", granted(assign(steps=20)), granted(assign(trial_id=2)))
    assert worker(signals, at_step(19, terminate), grace_seconds=600).run() == 1
    assert (len(service.bodies("report")), service.bodies("release")) == (1, [])
    assert service.bodies("report")[0]["measurement"]["steps"] == 20


def test_a_signal_gives_a_trial_back_that_would_take_longer(
    service: Any, worker: Start, assign: Assign, signals: Drain
) -> None:
    service.say("claim", granted(assign(steps=ENDLESS)))
    assert worker(signals, at_step(2, terminate), grace_seconds=1).run() == 0
    assert (service.bodies("report"), len(service.bodies("release"))) == ([], 1)


@pytest.mark.slow
def test_a_trial_is_nearly_done_within_what_is_left_of_the_grace(
    service: Any, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = Drain()

    def leave() -> None:
        drain.request()
        monkeypatch.setattr(drain, "_requested_at", time.monotonic() - 600)  # that long ago

    service.say("claim", granted(assign(steps=20)))
    assert worker(drain, at_step(10, leave), grace_seconds=600).run() == 0
    assert (service.bodies("report"), len(service.bodies("release"))) == ([], 1)


def test_a_worker_told_to_leave_before_it_asked_does_not_ask(service: Any, worker: Start) -> None:
    drain = Drain()
    drain.request()
    assert worker(drain).run() == 0
    assert service.seen == []


def test_a_trial_granted_while_the_signal_came_is_given_back(
    service: Any, worker: Start, assign: Assign, signals: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = LeaseClient.claim

    def interrupted(self: LeaseClient, *asked: Any) -> Assignment | None:
        monkeypatch.setattr(LeaseClient, "claim", claim)
        claim(self, *asked)
        terminate()
        raise AssertionError("the signal ends the wait")

    monkeypatch.setattr(LeaseClient, "claim", interrupted)
    service.say("claim", granted(assign()), granted(assign()), NO_WORK)
    assert worker(signals).run() == 0
    assert len(service.bodies("claim")) == 2
    assert len(service.bodies("release")) == 1


@pytest.fixture
def signals() -> Iterator[Drain]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    drain = Drain()
    drain.install()
    yield drain
    for number, handler in before.items():
        signal.signal(number, handler)


# In quarantine

QUARANTINED: Answer = (403, {"error": "Quarantined", "detail": "three failures", "hint": "fix"})


def test_a_worker_in_quarantine_says_so_once_and_goes_on_after_it(
    service: Any, worker: Start, assign: Assign
) -> None:
    service.say("claim", *[QUARANTINED] * 3, granted(assign()), NO_WORK)
    with capture_logs() as logged:
        assert worker(quarantine_seconds=0.01, until_idle_seconds=SECONDS, max_trials=1).run() == 1
    told = [
        entry for entry in logged if entry["event"] in ("worker_quarantined", "worker_reinstated")
    ]
    assert [entry["event"] for entry in told] == ["worker_quarantined", "worker_reinstated"]
    assert (told[0]["problem"], told[0]["fix"]) == ("three failures", "fix")
    assert len(service.bodies("report")) == 1


class Noting(Drain):
    """Pauses in no time, and asks to leave after the fourth."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.requested = len(self.pauses) == 4
        self.check()


def test_it_asks_no_more_than_once_a_minute(service: Any, worker: Start) -> None:
    drain = Noting()
    service.say("claim", QUARANTINED)
    worker(drain, until_idle_seconds=None).run()
    assert drain.pauses == [60.0, PAUSE_SECONDS] * 2
    assert len(service.bodies("claim")) == 2


# The whole


def test_run_wires_it_all(
    service: Any,
    assign: Assign,
    tmp_path: Path,
    signals: Drain,
    capfd: pytest.CaptureFixture[str],
) -> None:
    service.say("claim", granted(assign(rank_vector=RankVector((1,) * 21))), NO_WORK)
    (tmp_path / "key").write_text("rka_a_canary\n")
    settings = Settings(
        url=service.url,
        key_file=tmp_path / "key",
        device="cpu",
        spool_directory=tmp_path / "spool",
        max_trials=1,
        log_format="json",
        log_level="debug",
    )
    assert run(settings) == 0
    assert service.authorizations == {"Bearer rka_a_canary"}
    written = capfd.readouterr()
    assert "canary" not in written.out + written.err
    events = [json.loads(line)["event"] for line in written.err.splitlines() if line[:1] == "{"]
    assert events[:2] == ["worker_started", "trial_started"]
    assert events[-1] == "worker_left"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({}, "key"), ({"key": "k", "device": "cuda"}, "no GPU"), ({"key_file": "/absent"}, "read")],
)
def test_settings_that_cannot_work_are_explained(
    tmp_path: Path,
    changes: dict[str, Any],
    problem: str,
    signals: Drain,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = Settings(spool_directory=tmp_path, log_format="json", **changes)
    with pytest.raises(InvalidInput, match=problem):
        run(settings)
    assert problem in capfd.readouterr().err


def test_a_refused_key_ends_the_worker_with_its_own_error(
    service: Any, tmp_path: Path, signals: Drain
) -> None:
    service.say("claim", (403, {"error": "Forbidden", "detail": "not a worker's key"}))
    settings = Settings(
        url=service.url, key=SecretStr("k"), device="cpu", spool_directory=tmp_path / "spool"
    )
    with pytest.raises(Forbidden, match="not a worker's key"):
        run(settings)
