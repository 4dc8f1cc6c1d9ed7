"""make-secrets.sh: files that fit each other, and an access list that Redis itself takes."""

import hashlib
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import listens
from tests.unit.deploy.files import DEPLOY, ROOT, read
from tests.waiting import wait_for

SERVER = shutil.which("redis-server") or shutil.which(
    "redis-server", path=str(Path(sys.executable).parent)
)


def _make(directory: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(DEPLOY / "make-secrets.sh"), str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    assert _make(directory).returncode == 0
    return directory


def _password(url: str) -> str:
    return url.partition("://rankadaptor:")[2].partition("@")[0]


def test_the_files_are_those_that_compose_mounts(secrets: Path) -> None:
    mounted = read(ROOT / "docker-compose.yml")["secrets"].values()
    wanted = {Path(secret["file"]).name for secret in mounted}
    assert {file.name for file in secrets.iterdir()} == wanted


def test_the_passwords_fit_each_other(secrets: Path) -> None:
    postgres = (secrets / "postgres_password").read_text()
    assert len(postgres) == 48
    assert _password((secrets / "database_url").read_text()) == postgres
    redis = _password((secrets / "redis_url").read_text())
    assert f"#{hashlib.sha256(redis.encode()).hexdigest()} " in (secrets / "redis_acl").read_text()
    assert redis != postgres


def test_nobody_else_can_enter_the_directory(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o444}


def test_passwords_in_use_are_never_replaced(secrets: Path) -> None:
    before = (secrets / "postgres_password").read_text()
    again = _make(secrets)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert (secrets / "postgres_password").read_text() == before


@pytest.fixture
def redis(secrets: Path, tmp_path: Path) -> Iterator[int]:
    """A real Redis with the access list; yields its port."""
    if SERVER is None:
        pytest.skip("no redis-server on this machine: the access list was not tried")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    command = [SERVER, *options, "--aclfile", str(secrets / "redis_acl")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: listens(port), 10)
            yield port
        finally:
            server.terminate()


def _talk(port: int, *lines: str) -> list[str]:
    """Send inline commands on one connection; return the first line of each answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as talk:
        answers = talk.makefile("r", encoding="utf-8")
        heard = []
        for line in lines:
            talk.sendall(f"{line}\r\n".encode())
            heard.append(answers.readline().strip())
        return heard


def test_strangers_are_not_let_in(redis: int) -> None:
    assert _talk(redis, "GET rankadaptor:x")[0].startswith("-NOAUTH")


def test_the_health_check_may_ping_and_nothing_else(redis: int) -> None:
    entered, ping, read_key = _talk(redis, "AUTH health any", "PING", "GET rankadaptor:x")
    assert (entered, ping) == ("+OK", "+PONG")
    assert read_key.startswith("-NOPERM")


def test_the_service_may_ring_its_own_bells_only(redis: int, secrets: Path) -> None:
    password = _password((secrets / "redis_url").read_text())
    entered, added, foreign_set, foreign, config, flush = _talk(
        redis,
        f"AUTH rankadaptor {password}",
        "ZADD rankadaptor:queue:need NX 1 7",
        "ZADD other NX 1 7",
        "SET other 1",
        "CONFIG GET dir",
        "FLUSHALL",
    )
    assert (entered, added) == ("+OK", ":1")
    for refused in (foreign_set, foreign, config, flush):
        assert refused.startswith("-NOPERM")
