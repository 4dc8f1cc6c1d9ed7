"""The service as a real process: SIGKILL in mid-study, SIGTERM during a long poll."""

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankspace.study import ACTIVE
from tests.integration import forked
from tests.services import free_port, is_ready
from tests.unit.service.driver import holding, measurement, model, score, study
from tests.waiting import wait_for

pytestmark = pytest.mark.integration

AT_ONCE_SECONDS, GRACE_SECONDS = 20.0, 60
"""What an end at once takes on the busiest machine, and what open requests are given to end."""

SERVE = "from service.server import run; from service.settings import Settings; run(Settings())"


FOR_EVER = """
import threading
from service.planning.apart import life
from service.web.routers import studies
from service.insights import cache
from service import server
def for_ever(*_):
    print("for ever", flush=True)
    while True: threading.Event().wait(0.01)
"""
PLANS_FOR_EVER = """
import threading
from service.planning import planner
from service.planning.apart import child
def for_ever(*_):
    while True: threading.Event().wait(0.01)
planner.PLANNERS = dict.fromkeys(planner.PLANNERS, for_ever)
child.main()
"""
STUCK = {
    "a plan": f"life.PROGRAM = ('-P', '-c', {PLANS_FOR_EVER!r})",
    "a request": "studies.Studies.page = for_ever",
    "an ending": "cache.InsightCache.close = for_ever; server.LAST_SECONDS = 1",
}


class Process:
    """``run(Settings())`` in a process of its own, in an unrelated working directory."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory, self.port = directory, free_port()
        self.log = directory.parent / "log"
        self._environment = (
            os.environ
            | environment
            | {
                "RANKADAPTOR_DATA_DIRECTORY": str(directory),
                "RANKADAPTOR_PORT": str(self.port),
                "RANKADAPTOR_LOG_LEVEL": "debug",
                "RANKADAPTOR_SHUTDOWN_SECONDS": str(GRACE_SECONDS),
            }
        )
        self.start()

    def start(self) -> None:
        self.running = forked.start(partial(forked.program, SERVE), self._environment, self.log)
        wait_for(lambda: is_ready(self.port), pause_seconds=0.1)

    def stop(self, how: signal.Signals) -> None:
        assert self.running.pid is not None
        os.kill(self.running.pid, how)
        self.running.join(30)
        assert not self.running.is_alive()

    def client(self, role: str) -> httpx.Client:
        key = (self.directory / f"{role}.key").read_text().strip()
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {key}"},
            verify=False,  # plain HTTP: no certificates to read
            timeout=40,
        )


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "data").mkdir()
    process = Process(tmp_path / "data")
    yield process
    if process.running.is_alive():
        process.stop(signal.SIGKILL)


def _submit(process: Process) -> str:
    with process.client("admin") as admin:
        admin.post("/v1/models", json=model()).raise_for_status()
        answer = admin.post("/v1/studies", json=study()).raise_for_status()
        return str(answer.json()["id"])


def _claim(worker: httpx.Client) -> Any:
    body = {"worker": "w1", "protocol": 1}
    answer = worker.post("/v1/leases?wait=1", json=body).raise_for_status()
    return answer.json() if answer.status_code == 201 else None


def _upload(worker: httpx.Client, lease: Any) -> None:
    worker.put(
        f"/v1/leases/{lease['trial_id']}/artifacts/adapter_model.safetensors",
        params=holding(lease),
        content=b"weights",
        headers={"X-Content-SHA256": hashlib.sha256(b"weights").hexdigest()},
    ).raise_for_status()


def _report(worker: httpx.Client, lease: Any) -> httpx.Response:
    if lease["keep_adapter"]:
        _upload(worker, lease)
    body = {
        **holding(lease),
        "outcome": "done",
        "measurement": measurement(score(lease), lease),
    }
    return worker.post(f"/v1/leases/{lease['trial_id']}/report", json=body)


def _run(process: Process, *, kills: int = 0) -> list[tuple[str, tuple[int, ...], int]]:
    """Work until nothing is left, killing the service ``kills`` times while it answers."""
    ran: list[tuple[str, tuple[int, ...], int]] = []
    worker = process.client("worker")
    while _goes_on(process):
        if (lease := _claim(worker)) is None:  # what is next is still being planned
            continue
        ran.append((lease["purpose"], tuple(lease["rank_vector"]["ranks"]), lease["seed"]))
        if len(ran) <= kills:
            _report_into_a_kill(process, worker, lease, after=0.004 * len(ran))
        assert _report(worker, lease).json()["status"] in ("accepted", "duplicate")
    worker.close()
    return ran


def _goes_on(process: Process) -> bool:
    """Whether any study has work left, now or later."""
    with process.client("admin") as admin:
        studies = admin.get("/v1/studies").raise_for_status().json()["items"]
    return any(study["state"] in ACTIVE for study in studies)


def _report_into_a_kill(process: Process, worker: httpx.Client, lease: Any, after: float) -> None:
    """Send the report and kill the service ``after`` seconds, whatever it is doing then."""
    killer = subprocess.Popen(["sh", "-c", f"sleep {after}; kill -9 {process.running.pid}"])
    with contextlib.suppress(httpx.TransportError):
        _report(worker, lease)
    killer.wait()
    process.running.join()
    process.start()


def test_sigkill_in_mid_study_changes_no_proposal(process: Process) -> None:
    _submit(process)
    expected = _run(process)
    _submit(process)
    assert _run(process, kills=3) == expected


def test_sigterm_ends_a_long_poll_at_once(process: Process) -> None:
    body = {"worker": "w1", "protocol": 1}
    with process.client("worker") as worker, ThreadPoolExecutor(1) as pool:
        poll = pool.submit(worker.post, "/v1/leases?wait=30", json=body)
        with process.client("admin") as admin:
            wait_for(lambda: "w1" in admin.get("/v1/workers").text)
        begin = time.monotonic()
        process.stop(signal.SIGTERM)
        assert time.monotonic() - begin < AT_ONCE_SECONDS
        assert poll.result().status_code == 204


PAGES = 20


class Page(threading.Thread):
    """A browser's event source: it opens the stream again from what it was last told."""

    def __init__(self, process: Process, study: str) -> None:
        super().__init__(daemon=True)
        self._client, self._path = process.client("admin"), f"/v1/studies/{study}/events/stream"
        self.known, self.opened, self.ends, self.is_closed = 0, 0, 0, False

    def run(self) -> None:
        while not self.is_closed:
            with contextlib.suppress(httpx.ConnectError):
                self._read()
            time.sleep(0.2)
        self._client.close()

    def _read(self) -> None:
        headers = {"Last-Event-ID": str(self.known)} if self.known else {}
        with self._client.stream("GET", self._path, headers=headers) as answer:
            self.opened += answer.is_success
            for line in answer.iter_lines():  # raises where the answer was cut off
                if line.startswith("id: "):
                    self.known = int(line.removeprefix("id: "))
        self.ends += 1


def _last_event(process: Process, study: str) -> int:
    with process.client("admin") as admin:
        events = admin.get(f"/v1/studies/{study}/events?limit=1000").raise_for_status().json()
        return int(events["items"][-1]["id"])


def test_sigterm_ends_open_streams_at_once_and_pages_come_back(process: Process) -> None:
    study = _submit(process)
    pages = [Page(process, study) for _ in range(PAGES)]
    for page in pages:
        page.start()
    last = _last_event(process, study)
    wait_for(lambda: all(page.known >= last for page in pages))
    begin = time.monotonic()
    process.stop(signal.SIGTERM)
    assert time.monotonic() - begin < AT_ONCE_SECONDS
    assert process.running.exitcode in (0, -signal.SIGTERM)  # uvicorn passes the signal on
    wait_for(lambda: all(page.ends == 1 for page in pages))
    process.start()
    wait_for(lambda: all(page.opened == 2 for page in pages))
    with process.client("worker") as worker:
        _report(worker, _claim(worker))
    last = _last_event(process, study)
    wait_for(lambda: all(page.known >= last for page in pages))
    for page in pages:
        page.is_closed = True
    process.stop(signal.SIGTERM)
    for page in pages:
        page.join()


def _break_database(process: Process) -> None:
    """From here on, the service meets errors that it does not expect."""
    with contextlib.closing(sqlite3.connect(process.directory / "rankadaptor.sqlite")) as database:
        database.execute("PRAGMA foreign_keys=OFF")
        for table in ("login_codes", "models", "workers"):
            database.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")


WEBHOOK = "c4n4ry-of-sixteen"


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Process]:
    """A service that tries to tell of every end, at an address that it may not go to."""
    (tmp_path / "data").mkdir()
    (tmp_path / "secret").write_text(WEBHOOK)
    process = Process(
        tmp_path / "data",
        RANKADAPTOR_WEBHOOKS="true",
        RANKADAPTOR_WEBHOOK_URL="https://127.0.0.1:9/hook",
        RANKADAPTOR_WEBHOOK_SECRET_FILE=str(tmp_path / "secret"),
    )
    yield process
    if process.running.is_alive():
        process.stop(signal.SIGKILL)


def test_the_log_holds_no_secret(hooked: Process) -> None:
    """Every way a secret comes in or goes out: keys good and bad, a login, an upload, errors."""
    process = hooked
    _submit(process)
    _run(process)
    with process.client("admin") as admin, process.client("worker") as worker:
        issued = admin.post("/v1/keys", json={"role": "worker", "name": "box"}).json()
        code = admin.post("/v1/login-codes").json()["code"]
        cookie = admin.post("/login", data={"code": code}).cookies["rka_session"]
        admin.get("/", headers={"Cookie": f"rka_session={cookie}"})
        admin.delete(f"/v1/keys/{issued['id']}")
        refused = worker.get("/v1/studies", headers={"Authorization": f"Bearer {issued['key']}"})
        assert refused.status_code == 401
        worker.post("/v1/leases", json={"worker": issued["key"], "protocol": 1}).raise_for_status()
        admin.delete(f"/v1/keys/{issued['key']}")
        _break_database(process)
        failed = [
            admin.post("/login", data={"code": code}),
            admin.get(f"/v1/models/{issued['key']}"),
            worker.post("/v1/leases", json={"worker": issued["key"][:-1], "protocol": 1}),
        ]
        assert {answer.status_code for answer in failed} == {503}
        admin.post("/v1/models", content=b'{"path": "' + issued["key"].encode())
    process.stop(signal.SIGTERM)
    log = process.log.read_text()
    for said in (
        '"event": "claimed"',
        '"event": "issued a key"',
        '"event": "revoked a key"',
        "database unavailable",
        "webhook not delivered",
    ):
        assert said in log
    keys = [(process.directory / f"{role}.key").read_text().strip() for role in ("admin", "worker")]
    secrets = [key.split("_")[2] for key in (*keys, issued["key"])]
    for secret in (*secrets, code, cookie, WEBHOOK):
        assert secret not in log


def _ended(environment: Mapping[str, str], log: Path) -> tuple[int | None, bytes]:
    """Wait for a service that does not start; return its exit code and all that it said."""
    process = forked.start(partial(forked.program, SERVE), environment, log)
    process.join(60)
    return process.exitcode, log.read_bytes()


def test_the_database_s_password_is_not_told(tmp_path: Path) -> None:
    environment = os.environ | {
        "RANKADAPTOR_DATA_DIRECTORY": str(tmp_path),
        "RANKADAPTOR_DATABASE_URL": f"postgresql+psycopg://u:c4n4ry@127.0.0.1:{free_port()}/x",
        "RANKADAPTOR_PORT": str(free_port()),
    }
    code, said = _ended(environment, tmp_path / "log")
    assert code == 1
    assert b"connect" in said
    assert b"c4n4ry" not in said


def test_a_taken_port_ends_with_the_reason(process: Process, tmp_path: Path) -> None:
    environment = os.environ | {
        "RANKADAPTOR_DATA_DIRECTORY": str(tmp_path / "second"),
        "RANKADAPTOR_PORT": str(process.port),
    }
    code, said = _ended(environment, tmp_path / "log of the second")
    assert code == 1
    assert f"port = {process.port}: is taken".encode() in said


@pytest.mark.parametrize("stuck", STUCK)
def test_sigterm_ends_a_service_in_which_something_computes_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    monkeypatch.setattr(f"{__name__}.SERVE", f"{FOR_EVER}{STUCK[stuck]}\n{SERVE}")
    monkeypatch.setattr(f"{__name__}.GRACE_SECONDS", 1)
    (tmp_path / "data").mkdir()
    process = Process(tmp_path / "data")
    with process.client("admin") as admin, ThreadPoolExecutor(1) as pool:
        admin.post("/v1/models", json=model()).raise_for_status()
        asked = pool.submit(admin.post, "/v1/studies", json=study())
        if stuck == "a request":
            asked.result().raise_for_status()
            asked = pool.submit(admin.get, "/v1/studies")
        time.sleep(1.0)
        process.stop(signal.SIGTERM)  # fails if it takes half a minute
        with contextlib.suppress(httpx.HTTPError):
            asked.result()
    assert process.running.exitcode in (0, -signal.SIGTERM)


def _typed(process: Process, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """A command of a person at the service's machine."""
    told = {
        "RANKADAPTOR_DATA_DIRECTORY": str(process.directory),
        "RANKADAPTOR_URL": f"http://127.0.0.1:{process.port}",
    }
    command = [sys.executable, "-m", "rankadaptor.cli", *arguments]
    environment = os.environ | told | environment
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_second_service_on_the_same_file_refuses_and_backups_do_not(
    process: Process, tmp_path: Path
) -> None:
    port = free_port()
    with _typed(process, "serve", RANKADAPTOR_PORT=str(port)) as second:
        _, said = second.communicate(timeout=60)
    assert second.returncode == 4
    unwrapped = "".join(said.split())
    assert f"anotherservicehas{process.directory / 'rankadaptor.sqlite'}" in unwrapped
    assert f"http://127.0.0.1:{process.port}" in unwrapped
    assert str(port) not in (process.directory / "ports").read_text().split()
    with _typed(process, "db", "backup", str(tmp_path / "all.jsonl.gz")) as backup:
        assert backup.wait(timeout=60) == 0
    assert _submit(process)


def test_who_watches_outlives_a_restart_of_the_service(process: Process) -> None:
    study = _submit(process)
    with _typed(process, "watch", study) as watching:
        assert watching.stderr is not None
        assert "no worker: start one" in watching.stderr.readline()
        process.stop(signal.SIGKILL)
        assert "does not answer" in watching.stderr.readline()
        process.start()
        with process.client("admin") as admin:
            admin.post(f"/v1/studies/{study}/cancel").raise_for_status()
        assert watching.wait(timeout=60) == 7
