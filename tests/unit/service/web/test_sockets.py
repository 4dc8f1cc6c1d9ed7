"""Sockets against the service as uvicorn runs it: what is slow is cut, what works is left alone."""

import asyncio
import json
import re
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.service.driver import model, study
from tests.unit.service.web.socket_server import serving
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

HALF = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: "
WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _is_closed(connection: socket.socket) -> bool:
    """Whether the service has closed it; waits for that."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", HALF, WHOLE + HALF, WHOLE[:5]])
def test_a_head_that_does_not_come_is_not_waited_for(directory: Path, sent: bytes) -> None:
    with serving(directory, header_seconds=0.3) as served, served.say(sent) as connection:
        assert _is_closed(connection)
        assert served.cut("slow") == 1


def test_a_body_after_its_refusal_is_not_waited_for(directory: Path) -> None:
    """Each piece of it used to put off the end of the connection."""
    with serving(directory, header_seconds=0.3) as served:
        head = b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
        with served.say(head) as connection:
            connection.settimeout(0.1)
            assert wait_for(lambda: _drips(connection), 30)


def _drips(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(65_536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_long_polls_and_streams_outlive_the_time_for_a_head(directory: Path) -> None:
    limits = {"header_seconds": 0.2, "body_seconds": 0.2, "stream_seconds": 60.0}
    with serving(directory, **limits) as served, httpx.Client(base_url=served.url) as client:
        key, admin = served.service.key("worker"), served.service.key("admin")
        with client.stream("GET", "/v1/events/stream", headers=admin) as stream:
            claim = {"worker": "w1", "protocol": 2}
            answer = client.post("/v1/leases?wait=3", json=claim, headers=key, timeout=20)
            assert answer.status_code == 204
            client.post("/v1/models", json=model(), headers=admin)
            client.post("/v1/studies", json=study(), headers=admin)
            assert "changed" in next(line for line in stream.iter_lines() if "data" in line)
        assert served.cut("slow") == 0


@pytest.mark.parametrize("sent", [b"", b'{"worker"'])
def test_a_body_that_stalls_is_answered_as_a_network_that_fails(
    directory: Path, sent: bytes
) -> None:
    with serving(directory, body_seconds=0.3) as served:
        head = served.request("POST", "/v1/leases", "worker", 100)
        with served.say(head + sent) as connection:
            answer = _all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "Unreachable"


def _all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_body_may_take_longer_than_it_may_stall(directory: Path) -> None:
    """Slowly, but always coming: it is read to its end, and is no JSON."""
    with serving(directory, body_seconds=0.5, header_seconds=0.2) as served:
        piece = b"x" * 2048
        with served.say(served.request("POST", "/v1/leases", "worker", 10 * 2048)) as connection:
            for _ in range(10):
                time.sleep(0.1)
                connection.sendall(piece)
            assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_body_that_drips_is_ended_too(directory: Path) -> None:
    with (
        serving(directory, body_seconds=0.5) as served,
        served.say(served.request("POST", "/v1/leases", "worker", 9999)) as connection,
    ):
        connection.settimeout(0.1)
        assert wait_for(lambda: _drips(connection), 30)


def test_an_answer_that_nobody_takes_is_dropped(directory: Path) -> None:
    ask = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(directory, body_seconds=0.5) as served, served.say(ask * 200):
        wait_for(lambda: served.cut("slow") == 1)
        wait_for(lambda: not served.server.server_state.connections)


def test_a_crowd_of_half_heads_shuts_nobody_out(directory: Path) -> None:
    with serving(directory, connections=40, connections_per_address=10) as served:
        held = [served.say(HALF) for _ in range(100)]
        for path, key in (("/livez", {}), ("/v1/studies", served.service.key("admin"))):
            assert httpx.get(served.url + path, headers=key).status_code == 200
        assert len(served.server.server_state.connections) <= 11
        told = httpx.get(served.url + "/metrics", headers=served.service.key("admin")).text
        assert re.search(r"^rankadaptor_connections_open (10|11)\.0$", told, re.MULTILINE)
        for connection in held:
            connection.close()


def test_strangers_whose_bodies_do_not_come_make_room(directory: Path) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
    with serving(directory, connections_per_address=5) as served:
        held = [served.say(head) for _ in range(20)]
        assert httpx.get(f"{served.url}/livez").status_code == 200
        assert served.cut("crowded") >= 15
        for connection in held:
            connection.close()


def test_whoever_waits_for_an_answer_keeps_its_place(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(directory, connections_per_address=2) as served:
        begun, ended = threading.Event(), threading.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.to_thread(ended.wait, 60)

        monkeypatch.setattr(served.service.app.state.runtime.readiness, "check", hang)
        with served.say(WHOLE.replace(b"/livez", b"/readyz")) as waiting:
            assert begun.wait(60)
            held = [served.say(HALF) for _ in range(10)]
            wait_for(lambda: served.cut("crowded") >= 9)
            ended.set()
            assert waiting.recv(12) == b"HTTP/1.1 200"
        for connection in held:
            connection.close()


@pytest.mark.parametrize("path", ["/v1/studies", "/"])
def test_a_connection_that_showed_a_key_or_session_is_not_among_strangers(
    directory: Path, path: str
) -> None:
    with (
        serving(directory, connections=40, connections_per_address=2) as served,
        httpx.Client(base_url=served.url) as client,
    ):
        key = served.service.key("admin")
        if path == "/":
            code = httpx.post(f"{served.url}/v1/login-codes", headers=key).json()
            client.cookies.update(httpx.post(f"{served.url}/login", data=code).cookies)
            key = {}
        asked = [client.get(path, headers=key)]
        client.cookies.clear()
        asked.append(client.get("/livez"))
        held = [served.say(HALF) for _ in range(10)]
        wait_for(lambda: served.cut("crowded") >= 8)
        asked.append(client.get("/livez"))
        streams = [answer.extensions["network_stream"] for answer in asked]
        assert len({stream.get_extra_info("client_addr") for stream in streams}) == 1
        for connection in held:
            connection.close()


NOT_TRUSTED, TRUSTED = ((), ("192.0.2.0/24",)), (("127.0.0.1",), ("::1", "127.0.0.0/8"))


@pytest.mark.parametrize("proxies", [*NOT_TRUSTED, *TRUSTED])
def test_only_a_trusted_proxy_says_who_asks(
    directory: Path, monkeypatch: pytest.MonkeyPatch, proxies: tuple[str, ...]
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own variable
    share = {"requests_per_second": 1e-3, "request_burst": 10}  # one for each stranger
    with serving(directory, trusted_proxies=proxies, **share) as served:
        statuses = [
            httpx.get(f"{served.url}/v1/studies", headers={"X-Forwarded-For": said}).status_code
            for said in ("203.0.113.1", "203.0.113.2", "made.up, 203.0.113.2")
        ]
    assert statuses == ([401, 401, 429] if proxies in TRUSTED else [401, 429, 429])


@pytest.mark.parametrize("proxies", [*NOT_TRUSTED, *TRUSTED])
def test_only_a_trusted_proxy_says_that_the_browser_came_over_https(
    directory: Path, proxies: tuple[str, ...]
) -> None:
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.1"}
    with serving(directory, trusted_proxies=proxies) as served:
        codes = httpx.post(
            f"{served.url}/v1/login-codes", headers=served.service.key("admin")
        ).json()
        answer = httpx.post(f"{served.url}/login", data=codes, headers=said)
    name, _, flags = answer.headers["set-cookie"].partition("=")
    is_secure = proxies in TRUSTED
    assert name == ("__Host-rka_session" if is_secure else "rka_session")
    assert ("Secure" in flags) is is_secure
