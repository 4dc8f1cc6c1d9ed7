"""The client and the heartbeat against a real HTTP server with scripted answers."""

import ssl
from collections.abc import Callable
from dataclasses import replace
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
from rankspace.lease import MAX_INTERIM, PROTOCOL, Action
from rankspace.observation import TextLosses
from rankspace.wire import decode, encode
from tests.waiting import wait_for
from worker.errors import Busy
from worker.lease.answers import error_of
from worker.lease.client import LeaseClient
from worker.lease.heartbeat import HeartbeatThread
from worker.lease.report import done
from worker.lease.tls import tls_of

Assign = Callable[..., Assignment]
Answer = tuple[int, Any]
LOST: Answer = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
NO_WORK: Answer = (204, None)
CONTINUE: Answer = (200, {"lease_seconds": 60, "action": "continue"})
ACCEPTED: Answer = (200, {"status": "accepted"})


SECONDS = 30
"""To wait for what comes at once on a machine with nothing else to do."""

MEASUREMENT = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)


def granted(assignment: Assignment) -> Answer:
    return (201, encode(assignment))


# The client


def test_a_service_of_the_release_before_gets_the_report_without_the_texts(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    """It did not ask for them: another service on the same database did."""
    texts = TextLosses((10.0, 20.0), (10, 20))
    report = done(assign(), "w1", replace(MEASUREMENT, texts=texts), 1.0, ())
    refused = {
        "error": "InvalidInput",
        "detail": "measurement.texts = …: unknown field",
        "hint": "",
    }
    service.say("report", (422, refused), ACCEPTED)
    assert client.report(report) == "accepted"
    first, second = service.bodies("report")
    assert first["measurement"]["texts"] == encode(texts)
    assert second["measurement"] == encode(MEASUREMENT)


def test_texts_that_are_refused_as_wrong_are_not_left_out(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    texts = TextLosses((10.0, 20.0), (10, 20))
    report = done(assign(), "w1", replace(MEASUREMENT, texts=texts), 1.0, ())
    refused = {"error": "InvalidInput", "detail": "measurement.texts.tokens[0] = 0", "hint": ""}
    service.say("report", (422, refused))
    with pytest.raises(InvalidInput, match="tokens"):
        client.report(report)


def test_a_claim_brings_the_assignment(service: Any, client: LeaseClient, assign: Assign) -> None:
    service.say("claim", NO_WORK, granted(assign()))
    assert client.claim(2) is None
    assert client.claim(2) == assign()
    assert service.seen[0][1:] == (
        "/v1/leases?wait=2",
        {"worker": "w1", "protocol": PROTOCOL, "capabilities": None, "process": ANY},
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
    service.leases.hold(assign(), "w1")
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


def test_what_a_later_service_adds_to_its_answers_is_passed_over(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.say("heartbeat", (200, {"lease_seconds": 60, "action": "stop", "novelty": 1}))
    service.say("report", (200, {"status": "duplicate", "novelty": 1}))
    assert client.heartbeat(assign(), ()) is Action.STOP
    assert client.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "duplicate"


def test_a_passing_fault_is_retried(service: Any, assign: Assign) -> None:
    service.say("report", (503, {}), ACCEPTED)
    with LeaseClient(service.url, "k", "w", attempts=3) as patient:
        assert patient.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "accepted"
    assert len(service.bodies("report")) == 2


def test_a_busy_service_is_asked_again_when_it_says(service: Any, assign: Assign) -> None:
    service.say("report", (429, {"error": "TooManyRequests", "detail": "wait"}), ACCEPTED)
    slept: list[float] = []
    with LeaseClient(service.url, "k", "w", attempts=3) as patient:
        patient._retrying.sleep = slept.append
        assert patient.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "accepted"
    assert len(slept) == 1
    assert slept[0] >= 1.0


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


def test_over_plain_http_no_certificate_is_read_and_none_trusted() -> None:
    assert tls_of("HTTPS://service").get_ca_certs()
    plain = tls_of("http://https:1")
    assert (plain.get_ca_certs(), plain.verify_mode) == ([], ssl.CERT_REQUIRED)


# The heartbeat


def test_the_heartbeat_renews_and_hands_in_losses(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.leases.hold(assign(), "w1")
    with HeartbeatThread(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        heartbeat.beat(1, 2.5)
        wait_for(lambda: len(service.bodies("heartbeat")) >= 3, SECONDS)
    sent = [body["interim"] for body in service.bodies("heartbeat")]
    assert sum(sent, []) == [[1, 2.5]]  # noqa: RUF017  # once, in whichever beat it was


@pytest.mark.parametrize("answer", [LOST, (200, {"lease_seconds": 9, "action": "cancel"})])
def test_a_lost_or_cancelled_lease_ends_training_at_the_next_step(
    service: Any, client: LeaseClient, assign: Assign, answer: Answer
) -> None:
    service.say("heartbeat", answer)
    with HeartbeatThread(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: not heartbeat._thread.is_alive(), SECONDS)
        with pytest.raises(LeaseLost):
            heartbeat.beat(1, 1.0)
    assert len(service.bodies("heartbeat")) == 1


def test_stop_and_drain_are_remembered(service: Any, client: LeaseClient, assign: Assign) -> None:
    wishes = [(200, {"lease_seconds": 9, "action": wish}) for wish in (Action.STOP, Action.DRAIN)]
    service.say("heartbeat", *wishes)
    with HeartbeatThread(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: heartbeat.draining, SECONDS)
        assert heartbeat.beat(1, 1.0) is True


def test_an_absent_service_does_not_stop_training(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.say("heartbeat", *[(503, {})] * 3, CONTINUE)
    with HeartbeatThread(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        assert heartbeat.beat(1, 1.0) is False
        wait_for(lambda: len(service.bodies("heartbeat")) >= 5, SECONDS)
        assert heartbeat.beat(2, 1.0) is False
    interim = [body["interim"] for body in service.bodies("heartbeat")]
    assert [1, 1.0] in interim[3], "what could not be delivered is sent again"


def test_losses_of_a_long_absence_come_in_parts(
    service: Any, client: LeaseClient, assign: Assign
) -> None:
    service.leases.hold(assign(), "w1")
    thread = HeartbeatThread(client, assign(heartbeat_seconds=0.02))
    for step in range(1, MAX_INTERIM + 11):
        thread.beat(step, 1.0)
    with thread:
        wait_for(lambda: len(service.bodies("heartbeat")) >= 2, SECONDS)
    sent = [body["interim"] for body in service.bodies("heartbeat")]
    assert [len(pairs) for pairs in sent[:2]] == [MAX_INTERIM, 10]


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
    with capture_logs() as logs, HeartbeatThread(renewer, assign(heartbeat_seconds=0.02)):
        wait_for(lambda: renewer.calls >= 3, SECONDS)
    assert [entry["event"] for entry in logs] == ["heartbeat_crashed"]


def test_long_trials_thin_their_interim_losses(client: LeaseClient, assign: Assign) -> None:
    heartbeat = HeartbeatThread(client, assign(steps=10_000))
    for step in range(1, 10_001):
        heartbeat.beat(step, 1.0)
    assert len(heartbeat._interim) == 50
