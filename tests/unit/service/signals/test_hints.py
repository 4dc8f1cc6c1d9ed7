"""Redis only rings: the board follows the database, whatever happens to Redis."""

import contextlib
import signal
import socketserver
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as client
from structlog.testing import capture_logs

from rankspace.errors import InvalidInput
from rankspace.lease import queue_names
from service.app import create_app
from service.signals import hints
from service.signals.hints import Hints
from tests.services import Redis
from tests.unit.service.driver import (
    ON_BOTH,
    Service,
    holding,
    model,
    score,
    settings,
    start,
    study,
)
from tests.waiting import wait_for
from worker.lease import hints as worker_hints
from worker.lease.hints import RedisHints

pytestmark = pytest.mark.slow

NEED = queue_names.of_need(0, "LlamaForCausalLM")


@pytest.fixture
def ringing(directory: Path, redis: Redis) -> Iterator[Service]:
    """A service that announces its trials in a real Redis."""
    running = start(directory, redis_url=redis.url)
    with running.client:
        yield running


@pytest.fixture
def exposed(directory: Path, own_redis: Redis) -> Iterator[Service]:
    """The same where Redis is about to fail."""
    running = start(directory, redis_url=own_redis.url)
    with running.client:
        yield running


def _board(redis: Redis, key: str = NEED) -> list[int]:
    with client.Redis.from_url(redis.url) as connection:
        return [int(member) for member in connection.zrange(key, 0, -1)]


def _queued(service: Service, study_id: str) -> list[int]:
    trials = service.get(f"/v1/studies/{study_id}/trials?limit=1000")["items"]
    return [trial["id"] for trial in trials if trial["state"] == "queued"]


def _shows_the_queue(service: Service, redis: Redis, study_id: str) -> bool:
    queued = _queued(service, study_id)
    return bool(queued) and _board(redis) == queued


@ON_BOTH
@pytest.mark.slow
def test_the_board_follows_the_queue(ringing: Service, redis: Redis) -> None:
    identity = ringing.submit()
    wait_for(lambda: _shows_the_queue(ringing, redis, identity))
    lease = ringing.claim()
    wait_for(lambda: lease["trial_id"] not in _board(redis))
    ringing.work(measure=lambda _: None)  # until the study fails
    wait_for(lambda: _board(redis) == [])


def test_the_model_s_own_workers_hear_of_a_trial_first(
    ringing: Service, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = queue_names.of_model(model()["fingerprint"])
    monkeypatch.setattr(hints, "HEAD_START_SECONDS", 3600.0)
    ringing.submit()
    wait_for(lambda: _board(redis, own))
    assert _board(redis) == []
    monkeypatch.setattr(hints, "HEAD_START_SECONDS", 0.0)
    ringing.app.state.runtime.hints.ring()
    wait_for(lambda: _board(redis) == _board(redis, own))


def test_a_wiped_redis_is_full_again_by_itself(exposed: Service, own_redis: Redis) -> None:
    identity = exposed.submit()
    wait_for(lambda: _shows_the_queue(exposed, own_redis, identity))
    own_redis.wipe()
    own_redis.start()
    assert _board(own_redis) == []
    wait_for(lambda: _shows_the_queue(exposed, own_redis, identity))


@pytest.mark.slow
def test_the_study_goes_on_while_redis_is_dead(exposed: Service, own_redis: Redis) -> None:
    identity = exposed.submit()
    own_redis.stop()
    exposed.work(8)
    assert exposed.get(f"/v1/studies/{identity}")["state"] == "verifying"
    wait_for(lambda: exposed.app.state.runtime.hints.is_up is False)


def test_a_redis_that_hangs_holds_nobody_up(
    directory: Path, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "TIMEOUT_SECONDS", 3600.0)  # who waits for it, waits for ever
    running = start(directory, redis_url=own_redis.url)
    assert own_redis.process is not None
    with running.client:
        identity = running.submit()
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            assert len(running.work(4)) == 4
        finally:
            own_redis.process.send_signal(signal.SIGCONT)
        wait_for(lambda: _shows_the_queue(running, own_redis, identity))


def test_a_hint_is_a_number_and_nothing_else(ringing: Service, redis: Redis) -> None:
    ringing.submit(name="canary-name")
    wait_for(lambda: _board(redis))
    with client.Redis.from_url(redis.url) as connection:
        keys = connection.keys("*")
        assert {key.decode() for key in keys} == {
            NEED,
            queue_names.of_model(model()["fingerprint"]),
        }
        assert all(member.isdigit() for key in keys for member in connection.zrange(key, 0, -1))


def test_hints_of_before_the_start_are_cleared_away(service: Service, redis: Redis) -> None:
    with client.Redis.from_url(redis.url) as connection:
        connection.zadd(NEED, {"99": 99})
        connection.zadd(f"{queue_names.PREFIX}need:8:OldForCausalLM", {"98": 98})
        connection.set("somebody-else", "s")
        mine = Hints(service.app.state.runtime.database, redis.url)
        mine.publish()
        assert connection.keys("*") == [b"somebody-else"]
        mine.stop()


def test_a_worker_wakes_on_the_routes_it_serves(ringing: Service, redis: Redis) -> None:
    ringing.submit()
    wait_for(lambda: _board(redis))
    heard = RedisHints(redis.url)
    assert not heard.wait(queue_names.served(80, ("MistralForCausalLM",), None), 0.05)
    assert heard.wait(queue_names.served(0, ("LlamaForCausalLM",), None), 1)


def test_a_worker_without_redis_waits_at_the_service_for_a_while(own_redis: Redis) -> None:
    heard = RedisHints(own_redis.url)
    assert heard.is_usable
    own_redis.stop()
    assert not heard.wait((NEED,), 0.05)
    assert not heard.is_usable


@pytest.mark.parametrize("url", ["", "redis//x", "redis://u:hun/ter2@host", "http://u:hunter2@h"])
def test_an_address_that_is_none_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    for make in (RedisHints, lambda url: create_app(settings(tmp_path, redis_url=url))):
        with pytest.raises(InvalidInput, match=r"redis_url = '\*\*\*': is no address") as refused:
            make(url)
        assert "ter2" not in "".join(traceback.format_exception(refused.value))


def test_users_with_only_these_rights_suffice(directory: Path, redis: Redis) -> None:
    """The rights of ``deploy/redis/users.acl``."""
    lines = (Path(__file__).parents[4] / "deploy/redis/users.acl").read_text().splitlines()
    users = [line.split() for line in lines if line.startswith("user ")][1:]
    with client.Redis.from_url(redis.url) as connection:
        for _, name, *rules in users:
            plain = [rule for rule in rules if not rule.startswith("#")]
            connection.execute_command("ACL", "SETUSER", name, "reset", *plain, ">secret")
    address = redis.url.replace("redis://", "redis://{}:secret@")
    running = start(directory, redis_url=address.format("service"))
    with running.client:
        running.submit()
        wait_for(lambda: running.app.state.runtime.hints.is_up)
        heard = RedisHints(address.format("worker"))
        wait_for(lambda: heard.wait((NEED,), 0.1))
    with client.Redis.from_url(address.format("worker")) as intruder:
        for forbidden in (("SET", "x", "1"), ("FLUSHALL",), ("ZADD", NEED, "1", "1")):
            with pytest.raises(client.exceptions.NoPermissionError):
                intruder.execute_command(*forbidden)


# Garbage


GARBAGE = [
    b"\xff\xff\xff\r\n",
    b"*99999999\r\n",
    b"$-5\r\n",
    b":abc\r\n",
    b"+OK\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n$3\r\nxyz\r\n",
    b"*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n",
    b"%1\r\n+a\r\n",
    b"-ERR \xff\xfe\r\n",
]


class _Garbage(socketserver.BaseRequestHandler):
    """Answers whatever it is asked with the server's ``answer``."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.request.recv(65_536):
                self.request.sendall(self.server.answer)  # type: ignore[attr-defined]


@pytest.fixture
def garbage(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of something that is no Redis."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Garbage) as server:
        server.daemon_threads, server.answer = True, request.param  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("garbage", GARBAGE, indirect=True)
def test_a_worker_takes_garbage_for_no_redis(garbage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_hints, "GRACE_SECONDS", 0.2 - worker_hints.LONGEST_SECONDS)
    heard = RedisHints(garbage)
    assert not heard.wait((NEED,), 0.05)
    assert not heard.is_usable


@pytest.mark.parametrize("garbage", GARBAGE, indirect=True)
def test_the_service_s_thread_outlives_garbage(
    service: Service, garbage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(hints, "HEAD_START_SECONDS", 0.0)
    service.submit()
    mine = Hints(service.app.state.runtime.database, garbage)
    assert [mine._turn(), mine._turn(), mine.is_up] == [False, False, False]
    mine.stop()


def test_what_others_write_into_a_queue_is_taken_out(service: Service, redis: Redis) -> None:
    service.submit()
    mine = Hints(service.app.state.runtime.database, redis.url)
    with client.Redis.from_url(redis.url) as connection:
        connection.zadd(queue_names.of_model(model()["fingerprint"]), {b"\xff\xfe": 1})
        connection.zadd(f"{queue_names.PREFIX}need:8:".encode() + b"\xff", {b"\xfd": 1})
        mine._turn()
        assert connection.keys("*") == [queue_names.of_model(model()["fingerprint"]).encode()]
        members = connection.zrange(queue_names.of_model(model()["fingerprint"]), 0, -1)
        assert all(member.isdigit() for member in members)
        assert mine.is_up
    mine.stop()


def test_a_key_that_is_no_queue_holds_up_no_other(
    service: Service, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "HEAD_START_SECONDS", 0.0)
    service.submit()
    mine, own = Hints(service.app.state.runtime.database, redis.url), f"{queue_names.PREFIX}zzz"
    with client.Redis.from_url(redis.url) as connection, capture_logs() as logs:
        for key in (own, queue_names.of_model(model()["fingerprint"])):
            connection.set(key, "a string")
        for _ in range(3):
            mine._turn()
        assert _board(redis)
        assert connection.get(own) == b"a string"
    told = [line["keys"] for line in logs if line["event"] == "no queues in Redis"]
    assert len(told[0]) == 2
    assert len(told) == 1
    assert mine.is_up
    assert RedisHints(redis.url).wait((NEED,), 0.05)
    mine.stop()


def _claim(service: Service, **capabilities: Any) -> Any:
    body = {"worker": "w1", "protocol": 2, "capabilities": capabilities}
    answer = service.post("/v1/leases", body, "worker")
    return answer.json() if answer.status_code == 201 else None


@ON_BOTH
def test_a_trial_goes_only_where_it_fits(service: Service) -> None:
    service.submit(gpu_memory_gib=24)
    assert _claim(service, gpu_memory_gib=16) is None
    assert _claim(service, gpu_memory_gib=24, architectures=["MistralForCausalLM"]) is None
    assert _claim(service, gpu_memory_gib=24, architectures=["LlamaForCausalLM"]) is not None


def test_a_worker_of_the_version_before_gets_any_trial(service: Service) -> None:
    service.submit(gpu_memory_gib=24)
    assert service.claim() is not None


@ON_BOTH
def test_the_study_whose_model_is_loaded_comes_first(service: Service) -> None:
    other = service.submit()
    assert service.post("/v1/models", model(2, "/models/resident")).status_code == 201
    recipe_ranks = study(model="/models/resident")
    mine = service.post("/v1/studies", recipe_ranks).json()["id"]
    lease = _claim(service, resident=model(2)["fingerprint"])
    assert lease["study_id"] == mine
    report = {**holding(lease), "outcome": "failed", "error": "x"}
    assert service.post(f"/v1/leases/{lease['trial_id']}/report", report, "worker").is_success
    assert _claim(service)["study_id"] == other
    assert score(lease) < 0


@pytest.mark.parametrize(("gib", "step"), [(0, 0), (1, 8), (24, 24), (25, 32), (300.5, 301)])
def test_needs_are_rounded_up(gib: float, step: int) -> None:
    assert queue_names.of_need(gib, "X") == f"{queue_names.PREFIX}need:{step}:X"
