"""The client, the heartbeat and the spool against a real HTTP server with scripted answers."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import pytest
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement
from rankspace.errors import (
    Forbidden,
    InvalidInput,
    LeaseLost,
    TooLarge,
    Unauthenticated,
    Unreachable,
    UnsupportedVersion,
)
from rankspace.lease import Action
from rankspace.wire import decode, encode
from worker.errors import Busy, NoAnswer
from worker.lease.answers import error_of
from worker.lease.client import LeaseClient
from worker.lease.heartbeat import Heartbeat
from worker.lease.report import Report, done
from worker.lease.spool import Spool

Assign = Callable[..., Assignment]
Answer = tuple[int, Any]
LOST: Answer = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
NO_WORK: Answer = (204, None)
CONTINUE: Answer = (200, {"lease_seconds": 60, "action": "continue"})
ACCEPTED: Answer = (200, {"status": "accepted"})


MEASUREMENT = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)


def granted(assignment: Assignment) -> Answer:
    return (201, encode(assignment))


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


# The client


def test_a_claim_brings_the_assignment(service: Any, client: LeaseClient, assign: Assign) -> None:
    service.say("claim", NO_WORK, granted(assign()))
    assert client.claim(2) is None
    assert client.claim(2) == assign()
    assert service.seen[0][1:] == (
        "/v1/leases?wait=2",
        {"worker": "w1", "protocol": 2, "capabilities": None, "process": ANY},
    )
    assert service.authorizations == {"Bearer rka_x_secret"}


def test_every_start_is_another_process(service: Any, client: LeaseClient) -> None:
    service.say("claim", NO_WORK)
    with LeaseClient(service.url, "k", "w1") as restarted:
        for one in (client, client, restarted):
            one.claim(0)
    first, again, new = (body["process"] for body in service.bodies("claim"))
    assert first == again != new


def test_a_report_carries_the_measurement(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.say("report", ACCEPTED, (200, {"status": "duplicate"}))
    report = done(assign(), "w0", MEASUREMENT, 0.0, ())
    assert [client.report(report), client.report(report)] == ["accepted", "duplicate"]
    body = service.bodies("report")[0]
    assert decode(Measurement, body["measurement"]) == MEASUREMENT
    assert (body["worker"], body["token"], body["study_id"]) == ("w0", 1, "st_1")
    assert body["outcome"] == "done"


def test_every_route_names_the_study(service: Any, client: LeaseClient, assign: Assign) -> None:
    """Trial numbers begin at 1 in every service; the study's name is its own."""
    client.heartbeat(assign(), ())
    client.release(assign())
    assert {
        body["study_id"] for route in ("heartbeat", "release") for body in service.bodies(route)
    } == {"st_1"}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {"error": "Unauthenticated", "detail": "no"}), Unauthenticated),
        ((403, {"error": "Forbidden", "detail": "no"}), Forbidden),
        ((404, {"error": "NotFound", "detail": "no such trial"}), LeaseLost),
        (LOST, LeaseLost),
        ((426, {"error": "UnsupportedVersion", "detail": "no"}), UnsupportedVersion),
        ((413, b"<html>"), TooLarge),
        ((404, b"<html>"), Unreachable),
        ((500, b"<html>"), Unreachable),
        ((429, {"error": "TooManyRequests", "detail": "wait"}), Unreachable),
        ((422, {"error": "InvalidInput", "detail": "no", "hint": "do"}), InvalidInput),
        ((200, b"<html>"), Unreachable),
        ((200, {"action": "dance"}), UnsupportedVersion),
    ],
)
def test_answers_become_errors(
    service: Any, client: LeaseClient, assign: Assign, answer: Answer, kind: type[Exception]
) -> None:
    service.say("heartbeat", answer)
    with pytest.raises(kind):
        client.heartbeat(assign(), ())


def test_the_refused_key_comes_with_a_fix(service: Any, client: LeaseClient) -> None:
    service.say("claim", (401, {"error": "Unauthenticated", "detail": "unknown key", "hint": ""}))
    with pytest.raises(Unauthenticated, match="unknown key") as caught:
        client.claim(1)
    assert "RANKADAPTOR_KEY" in caught.value.hint


def test_an_assignment_of_another_version_is_not_guessed_at(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.say("claim", (201, {**encode(assign()), "novelty": 1}))
    with pytest.raises(UnsupportedVersion, match="novelty"):
        client.claim(1)


def test_a_passing_fault_is_retried(service: Any, assign: Assign) -> None:
    service.say("report", (503, {}), ACCEPTED)
    with LeaseClient(service.url, "k", "w", attempts=3) as patient:
        assert patient.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "accepted"
    assert len(service.bodies("report")) == 2


def test_a_busy_service_is_asked_again_when_it_says(service: Any, assign: Assign) -> None:
    service.say("report", (429, {"error": "TooManyRequests", "detail": "wait"}), ACCEPTED)
    begin = time.monotonic()
    with LeaseClient(service.url, "k", "w", attempts=3) as patient:
        assert patient.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "accepted"
    assert time.monotonic() - begin >= 1.0


@pytest.mark.parametrize(
    ("said", "waits"), [("7", 7.0), ("3600", 10.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)]
)
def test_the_wait_is_the_service_s_own_within_reason(said: str, waits: float) -> None:
    request = httpx.Request("POST", "http://service/v1/leases")
    error = error_of(httpx.Response(429, headers={"Retry-After": said}, request=request))
    assert isinstance(error, Busy)
    assert error.wait_seconds == waits


def test_nobody_there_is_unreachable() -> None:
    with (
        LeaseClient("http://127.0.0.1:9", "k", "w", attempts=1) as alone,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"),
    ):
        alone.claim(1)


def test_no_proxy_stands_between_worker_and_service(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with LeaseClient(service.url, "k", "w", attempts=1) as direct:
        assert direct.claim(0) is None


# The heartbeat


def test_the_heartbeat_renews_and_hands_in_losses(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        heartbeat.beat(1, 2.5)
        wait_for(lambda: len(service.bodies("heartbeat")) >= 3)
    sent = [body["interim"] for body in service.bodies("heartbeat")]
    assert sum(sent, []) == [[1, 2.5]]  # noqa: RUF017  # once, in whichever beat it was


@pytest.mark.parametrize("answer", [LOST, (200, {"lease_seconds": 9, "action": "cancel"})])
def test_a_lost_or_cancelled_lease_ends_training_at_the_next_step(
    service: Any, client: LeaseClient, assign: Assign, answer: Answer
) -> None:
    service.say("heartbeat", answer)
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: not heartbeat._thread.is_alive())
        with pytest.raises(LeaseLost):
            heartbeat.beat(1, 1.0)
    assert len(service.bodies("heartbeat")) == 1


def test_stop_and_drain_are_remembered(service: Any, client: LeaseClient, assign: Assign) -> None:
    wishes = [(200, {"lease_seconds": 9, "action": wish}) for wish in (Action.STOP, Action.DRAIN)]
    service.say("heartbeat", *wishes)
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: heartbeat.draining)
        assert heartbeat.beat(1, 1.0) is True


def test_an_absent_service_does_not_stop_training(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.say("heartbeat", *[(503, {})] * 3, CONTINUE)
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        assert heartbeat.beat(1, 1.0) is False
        wait_for(lambda: len(service.bodies("heartbeat")) >= 5)
        assert heartbeat.beat(2, 1.0) is False
    interim = [body["interim"] for body in service.bodies("heartbeat")]
    assert [1, 1.0] in interim[3], "what could not be delivered is sent again"


class Stumbling:
    """A renewer whose first call hits a defect."""

    def __init__(self) -> None:
        self.calls = 0

    def heartbeat(self, lease: Assignment, interim: Any) -> Action:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("a defect")
        return Action.CONTINUE


def test_a_defect_in_the_heartbeat_does_not_end_it(assign: Assign) -> None:
    renewer = Stumbling()
    with capture_logs() as logs, Heartbeat(renewer, assign(heartbeat_seconds=0.02)):
        wait_for(lambda: renewer.calls >= 3)
    assert [entry["event"] for entry in logs] == ["heartbeat_crashed"]


def test_long_trials_thin_their_interim_losses(client: LeaseClient, assign: Assign) -> None:
    heartbeat = Heartbeat(client, assign(steps=10_000))
    for step in range(1, 10_001):
        heartbeat.beat(step, 1.0)
    assert len(heartbeat._interim) == 50


# The spool


def test_reports_survive_a_restart(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    service.say("report", (500, {}))
    first = Spool(tmp_path / "spool")
    (first.adapter_directory(assign())).mkdir()
    (first.adapter_directory(assign()) / "README.md").write_bytes(b"hello")
    first.put(done(assign(), "dead-worker", MEASUREMENT, time.time(), ("README.md",)))
    assert first.deliver(client) == 1
    (file,) = (tmp_path / "spool").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    service.say("report", ACCEPTED)
    second = Spool(tmp_path / "spool")
    assert second.holds(assign())
    assert second.deliver(client) == 0
    assert service.bodies("report")[-1]["worker"] == "dead-worker"
    assert service.bodies("upload") == [b"hello", b"hello"]
    assert (
        "/v1/leases/1/artifacts/README.md?worker=dead-worker&token=1&study_id=st_1"
        in service.seen[0][1]
    )
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_stale_report_is_dropped(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", LOST, ACCEPTED)
    for trial in (1, 2):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    assert spool.deliver(client) == 0
    assert len(service.bodies("report")) == 2


def test_a_result_that_is_refused_is_reported_as_failed(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (422, {"error": "InvalidInput", "detail": "loss is odd"}), ACCEPTED)
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    assert spool.deliver(client) == 0
    assert [body["outcome"] for body in service.bodies("report")] == ["done", "failed"]
    assert "loss is odd" in service.bodies("report")[1]["error"]


def test_a_refused_key_keeps_the_report(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (401, {"error": "Unauthenticated", "detail": "unknown key"}))
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    with pytest.raises(Unauthenticated):
        spool.deliver(client)
    assert spool.holds(assign())


def test_after_a_day_a_report_is_given_up(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", clock=lambda: 100_000.0)
    spool.put(done(assign(), "w", MEASUREMENT, 13_000.0, ()))
    assert spool.deliver(client) == 0
    assert service.seen == []
    assert not spool.holds(assign())


NOT_HERE: Answer = (404, {"error": "NotFound", "detail": "no such study"})


def test_another_services_report_waits_and_blocks_nothing(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    """Services may share a spool: the report is for the one that knows its study."""
    foreign, own = assign(study_id="st_elsewhere"), assign(token=2)
    spool.put(done(foreign, "w", MEASUREMENT, time.time() - 9, ()))
    spool.put(done(own, "w", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_HERE, ACCEPTED)
    assert spool.deliver(client) == 1
    assert (spool.holds(foreign), spool.holds(own)) == (True, False)


NOT_MINE: Answer = (403, {"error": "WrongWorker", "detail": "bound to w1", "hint": ""})


def test_another_worker_s_report_waits_for_a_key_that_may_deliver_it(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    left, own = assign(trial_id=2), assign()
    spool.put(done(left, "w0", MEASUREMENT, time.time() - 9, ()))
    spool.put(done(own, "w1", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_MINE, ACCEPTED)
    assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert (spool.holds(left), spool.holds(own)) == (True, False)
    assert len(service.bodies("report")) == 2


def test_the_same_trial_number_of_two_studies_is_two_reports(assign: Assign, spool: Spool) -> None:
    spool.put(done(assign(study_id="st_2"), "w", MEASUREMENT, time.time(), ()))
    assert not spool.holds(assign())
    assert spool.adapter_directory(assign()) != spool.adapter_directory(assign(study_id="st_2"))


def test_a_service_is_asked_once_for_a_report_it_does_not_know(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_HERE)
    assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert len(service.bodies("report")) == 1


def test_a_waiting_upload_of_another_service_is_kept(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    spool.adapter_directory(assign()).mkdir()
    (spool.adapter_directory(assign()) / "README.md").write_bytes(b"hello")
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ("README.md",)))
    service.say("upload", NOT_HERE)
    assert spool.deliver(client) == 1
    assert (spool.adapter_directory(assign()) / "README.md").exists()
    assert service.bodies("report") == []


def test_a_report_the_service_chokes_on_does_not_hold_up_the_others(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    for trial in (1, 2, 3):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    service.say("report", (500, {"error": "InternalError", "detail": "bug"}), ACCEPTED)
    assert spool.deliver(client) == 1
    assert spool.holds(assign(trial_id=1))
    assert len(service.bodies("report")) == 3


def test_without_a_service_the_round_ends_at_once(assign: Assign, spool: Spool) -> None:
    class Absent:
        tried = 0

        def upload(self, report: Report, file: Path) -> None: ...

        def report(self, report: Report) -> str:
            self.tried += 1
            raise NoAnswer("connection refused")

    for trial in (1, 2, 3):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    absent = Absent()
    assert spool.deliver(absent) == 3
    assert absent.tried == 1


def test_what_a_crash_left_in_the_spool_is_swept_after_a_day(
    assign: Assign, tmp_path: Path
) -> None:
    now = time.time()
    spool = Spool(tmp_path / "spool", clock=lambda: now)
    for trial, age in ((1, 2 * 86_400), (2, 60), (3, 2 * 86_400)):
        directory = spool.adapter_directory(assign(trial_id=trial))
        directory.mkdir()
        os.utime(directory, (now - age, now - age))
    spool.put(done(assign(trial_id=3), "w", MEASUREMENT, now, ()))
    (tmp_path / "spool" / "somebody-else").mkdir()
    os.utime(tmp_path / "spool" / "somebody-else", (0, 0))
    spool.sweep()
    left = [spool.adapter_directory(assign(trial_id=trial)).exists() for trial in (1, 2, 3)]
    assert left == [False, True, True]
    assert (tmp_path / "spool" / "somebody-else").exists()


def test_a_damaged_report_is_left_for_a_person(
    client: LeaseClient, spool: Spool, tmp_path: Path
) -> None:
    (tmp_path / "spool" / "1-1.json").write_text("{")
    assert spool.deliver(client) == 0
    assert (tmp_path / "spool" / "1-1.json").exists()


def test_reports_round_trip(assign: Assign) -> None:
    report = done(assign(), "w", MEASUREMENT, 1.0, ("README.md",))
    assert decode(Report, encode(report)) == report
    assert report.name == "st_1-1-1"
