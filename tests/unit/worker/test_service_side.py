"""The worker against a real HTTP server with scripted answers."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog

from rankspace import Assignment, Measurement, RankVector
from rankspace.errors import (
    Forbidden,
    LeaseLost,
    Unauthenticated,
    Unreachable,
    UnsupportedVersion,
)
from rankspace.recipe import Optimizer
from rankspace.trial import Action
from rankspace.wire import decode, encode
from worker.client import LeaseClient
from worker.drain import Drain
from worker.evaluation import Evaluator
from worker.heartbeat import Heartbeat
from worker.loop import Patience, Worker
from worker.report import Report, done
from worker.run import run
from worker.settings import Settings
from worker.spool import Spool

Assign = Callable[..., Assignment]
Answer = tuple[int, Any]
LOST: Answer = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
NO_WORK: Answer = (204, None)
ACCEPTED: Answer = (200, {"status": "accepted"})


class Service:
    """Answers each route from its script, last answer for ever, and keeps what it was sent."""

    defaults: ClassVar[dict[str, Answer]] = {
        "claim": NO_WORK,
        "heartbeat": (200, {"lease_seconds": 60, "action": "continue"}),
        "report": ACCEPTED,
        "release": (204, None),
        "upload": (201, {}),
    }

    def __init__(self) -> None:
        self.script: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, str, Any]] = []
        self.authorizations: set[str] = set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                service.handle(self)

            do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def say(self, route: str, *answers: Answer) -> None:
        self.script[route] = list(answers)

    def bodies(self, route: str) -> list[Any]:
        return [body for name, _, body in self.seen if name == route]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        route = self._route(request)
        self.authorizations.add(request.headers["Authorization"])
        self.seen.append((route, request.path, self._body(request)))
        left = self.script.get(route) or [self.defaults[route]]
        status, body = left.pop(0) if len(left) > 1 else left[0]
        text = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _route(self, request: BaseHTTPRequestHandler) -> str:
        if request.command == "PUT":
            return "upload"
        found = re.fullmatch(r"/v1/leases/\d+/(\w+)", request.path)
        return found[1] if found else "claim"

    def _body(self, request: BaseHTTPRequestHandler) -> Any:
        if request.headers.get("Transfer-Encoding") != "chunked":
            return json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        parts = b""
        while size := int(request.rfile.readline(), 16):
            parts += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
        return parts


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def service() -> Iterator[Service]:
    started = Service()
    yield started
    started.close()


@pytest.fixture
def client(service: Service) -> Iterator[LeaseClient]:
    with LeaseClient(service.url, "rka_x_secret", "w1", attempts=1) as made:
        yield made


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


MEASUREMENT = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)


def granted(assignment: Assignment) -> Answer:
    return (201, encode(assignment))


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


# The client


def test_a_claim_brings_the_assignment(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    service.say("claim", NO_WORK, granted(assign()))
    assert client.claim(2) is None
    assert client.claim(2) == assign()
    assert service.seen[0][1:] == ("/v1/leases?wait=2", {"worker": "w1", "protocol": 1})
    assert service.authorizations == {"Bearer rka_x_secret"}


def test_a_report_carries_the_measurement(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    service.say("report", ACCEPTED, (200, {"status": "duplicate"}))
    report = done(assign(), "w0", MEASUREMENT, 0.0, ())
    assert [client.report(report), client.report(report)] == ["accepted", "duplicate"]
    body = service.bodies("report")[0]
    assert decode(Measurement, body["measurement"]) == MEASUREMENT
    assert (body["worker"], body["token"], body["outcome"]) == ("w0", 1, "done")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, {"error": "Unauthenticated", "detail": "no"}), Unauthenticated),
        ((403, {"error": "Forbidden", "detail": "no"}), Forbidden),
        ((404, {"error": "NotFound", "detail": "no such trial"}), LeaseLost),
        (LOST, LeaseLost),
        ((426, {"error": "UnsupportedVersion", "detail": "no"}), UnsupportedVersion),
        ((500, b"<html>"), Unreachable),
        ((200, b"<html>"), Unreachable),
        ((200, {"action": "dance"}), UnsupportedVersion),
    ],
)
def test_answers_become_errors(
    service: Service, client: LeaseClient, assign: Assign, answer: Answer, kind: type[Exception]
) -> None:
    service.say("heartbeat", answer)
    with pytest.raises(kind):
        client.heartbeat(assign(), ())


def test_the_refused_key_comes_with_a_fix(service: Service, client: LeaseClient) -> None:
    service.say("claim", (401, {"error": "Unauthenticated", "detail": "unknown key", "hint": ""}))
    with pytest.raises(Unauthenticated, match="unknown key") as caught:
        client.claim(1)
    assert "RANKADAPTOR_KEY" in caught.value.hint


def test_an_assignment_of_another_version_is_not_guessed_at(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    service.say("claim", (201, {**encode(assign()), "novelty": 1}))
    with pytest.raises(UnsupportedVersion, match="novelty"):
        client.claim(1)


def test_a_passing_fault_is_retried(service: Service, assign: Assign) -> None:
    service.say("report", (503, {}), ACCEPTED)
    with LeaseClient(service.url, "k", "w", attempts=3) as patient:
        assert patient.report(done(assign(), "w", MEASUREMENT, 0.0, ())) == "accepted"
    assert len(service.bodies("report")) == 2


def test_nobody_there_is_unreachable() -> None:
    with (
        LeaseClient("http://127.0.0.1:9", "k", "w", attempts=1) as alone,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"),
    ):
        alone.claim(1)


# The heartbeat


def test_the_heartbeat_renews_and_hands_in_losses(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        heartbeat.beat(1, 2.5)
        wait_for(lambda: len(service.bodies("heartbeat")) >= 3)
    sent = [body["interim"] for body in service.bodies("heartbeat")]
    assert sum(sent, []) == [[1, 2.5]]  # noqa: RUF017  # once, in whichever beat it was


@pytest.mark.parametrize("answer", [LOST, (200, {"lease_seconds": 9, "action": "cancel"})])
def test_a_lost_or_cancelled_lease_ends_training_at_the_next_step(
    service: Service, client: LeaseClient, assign: Assign, answer: Answer
) -> None:
    service.say("heartbeat", answer)
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: not heartbeat._thread.is_alive())
        with pytest.raises(LeaseLost):
            heartbeat.beat(1, 1.0)
    assert len(service.bodies("heartbeat")) == 1


def test_stop_and_drain_are_remembered(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    wishes = [(200, {"lease_seconds": 9, "action": wish}) for wish in (Action.STOP, Action.DRAIN)]
    service.say("heartbeat", *wishes)
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        wait_for(lambda: heartbeat.draining)
        assert heartbeat.beat(1, 1.0) is True


def test_an_absent_service_does_not_stop_training(
    service: Service, client: LeaseClient, assign: Assign
) -> None:
    service.say("heartbeat", *[(503, {})] * 3, Service.defaults["heartbeat"])
    with Heartbeat(client, assign(heartbeat_seconds=0.02)) as heartbeat:
        assert heartbeat.beat(1, 1.0) is False
        wait_for(lambda: len(service.bodies("heartbeat")) >= 5)
        assert heartbeat.beat(2, 1.0) is False
    interim = [body["interim"] for body in service.bodies("heartbeat")]
    assert [1, 1.0] in interim[3], "what could not be delivered is sent again"


def test_long_trials_thin_their_interim_losses(client: LeaseClient, assign: Assign) -> None:
    heartbeat = Heartbeat(client, assign(steps=10_000))
    for step in range(1, 10_001):
        heartbeat.beat(step, 1.0)
    assert len(heartbeat._interim) == 50


# The spool


def test_reports_survive_a_restart(
    service: Service, client: LeaseClient, assign: Assign, tmp_path: Path
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
    assert "/v1/leases/1/artifacts/README.md?worker=dead-worker&token=1" in service.seen[0][1]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_stale_report_is_dropped(
    service: Service, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", LOST, ACCEPTED)
    for trial in (1, 2):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    assert spool.deliver(client) == 0
    assert len(service.bodies("report")) == 2


def test_a_result_that_is_refused_is_reported_as_failed(
    service: Service, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (422, {"error": "InvalidInput", "detail": "loss is odd"}), ACCEPTED)
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    assert spool.deliver(client) == 0
    assert [body["outcome"] for body in service.bodies("report")] == ["done", "failed"]
    assert "loss is odd" in service.bodies("report")[1]["error"]


def test_a_refused_key_keeps_the_report(
    service: Service, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (401, {}))
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    with pytest.raises(Unauthenticated):
        spool.deliver(client)
    assert spool.holds(assign())


def test_after_a_day_a_report_is_given_up(
    service: Service, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", clock=lambda: 100_000.0)
    spool.put(done(assign(), "w", MEASUREMENT, 13_000.0, ()))
    assert spool.deliver(client) == 0
    assert service.seen == []
    assert not spool.holds(assign())


def test_a_damaged_report_is_left_for_a_person(
    client: LeaseClient, spool: Spool, tmp_path: Path
) -> None:
    (tmp_path / "spool" / "1-1.json").write_text("{")
    assert spool.deliver(client) == 0
    assert (tmp_path / "spool" / "1-1.json").exists()


# The loop


Start = Callable[..., Worker]


@pytest.fixture
def worker(client: LeaseClient, evaluator: Evaluator, spool: Spool) -> Start:
    def start(drain: Drain | None = None, **patience: Any) -> Worker:
        quick = {"wait_seconds": 0.01, "away_seconds": 0.01, "until_idle_seconds": 0.3, **patience}
        return Worker(
            "w1",
            client,
            client,
            evaluator,
            spool,
            drain=drain or Drain(),
            patience=Patience(**quick),
        )

    return start


def test_a_trial_is_claimed_run_and_reported(
    service: Service, worker: Start, assign: Assign
) -> None:
    service.say("claim", granted(assign()), granted(assign(trial_id=2, keep_adapter=True)), NO_WORK)
    assert worker().run() == 2
    first, second = (decode(Measurement, body["measurement"]) for body in service.bodies("report"))
    assert first.loss == second.loss
    routes = [route for route, _, _ in service.seen]
    assert routes[:7] == ["claim", "report", "claim", "upload", "upload", "upload", "report"]


def test_a_failing_trial_is_reported_and_the_worker_goes_on(
    service: Service, worker: Start, assign: Assign
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
    service: Service, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("worker.evaluation.train", broken)
    service.say("claim", granted(assign()), NO_WORK)
    assert worker().run() == 1
    assert service.bodies("report")[0]["error"] == "ZeroDivisionError: surprise"


def test_a_lost_lease_is_an_answer(service: Service, worker: Start, assign: Assign) -> None:
    endless = assign(heartbeat_seconds=0.02, steps=100_000)
    service.say("heartbeat", LOST)
    service.say("claim", granted(endless), granted(assign(trial_id=2)), NO_WORK)
    assert worker().run() == 2
    assert [path for route, path, _ in service.seen if route == "report"] == ["/v1/leases/2/report"]


def test_an_undelivered_trial_is_not_run_again(
    service: Service, worker: Start, assign: Assign
) -> None:
    """While the report is under way, a claim brings the same lease."""
    service.say("report", (503, {}), (503, {}), ACCEPTED)
    service.say("claim", granted(assign()), granted(assign()), NO_WORK)
    assert worker().run() == 1
    assert len(service.bodies("report")) == 3


def test_the_worker_outlasts_an_absent_service(
    service: Service, worker: Start, assign: Assign
) -> None:
    service.say("claim", *[(503, {})] * 5, granted(assign()))
    assert worker(max_trials=1, until_idle_seconds=None).run() == 1


def test_a_drain_from_the_service_finishes_the_trial(
    service: Service, worker: Start, assign: Assign
) -> None:
    service.say("heartbeat", (200, {"lease_seconds": 9, "action": "drain"}))
    service.say("claim", granted(assign(heartbeat_seconds=0.01, steps=60)), NO_WORK)
    assert worker(until_idle_seconds=None).run() == 1
    assert service.bodies("report")[0]["outcome"] == "done"


def test_a_signal_gives_the_running_trial_back(
    service: Service, worker: Start, assign: Assign, signals: Drain
) -> None:
    endless = assign(heartbeat_seconds=0.02, steps=100_000)
    service.say("claim", granted(endless), NO_WORK)
    threading.Thread(target=terminate_after, args=(service, "heartbeat")).start()
    worker(signals).run()
    assert service.bodies("report") == []
    assert service.bodies("release") == [{"worker": "w1", "token": 1}]


def test_a_signal_ends_the_wait_for_work_at_once(
    service: Service, worker: Start, signals: Drain
) -> None:
    threading.Thread(target=terminate_after, args=(service, "claim")).start()
    began = time.monotonic()
    assert worker(signals, until_idle_seconds=None, away_seconds=60).run() == 0
    assert time.monotonic() - began < 5


@pytest.fixture
def signals() -> Iterator[Drain]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    drain = Drain()
    drain.install()
    yield drain
    for number, handler in before.items():
        signal.signal(number, handler)


def terminate_after(service: Service, route: str) -> None:
    wait_for(lambda: bool(service.bodies(route)))
    os.kill(os.getpid(), signal.SIGTERM)


# The whole


def test_run_wires_it_all(
    service: Service,
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
    assert run(settings) == 2
    assert problem in capfd.readouterr().err


def test_reports_round_trip(assign: Assign) -> None:
    report = done(assign(), "w", MEASUREMENT, 1.0, ("README.md",))
    assert decode(Report, encode(report)) == report
    assert report.name == "1-1"
