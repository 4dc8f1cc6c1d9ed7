"""The site of a chaos run: databases, replicas and proxies as real processes, hurt at will."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import httpx

from bench.chaos.clocks import Clock, build
from bench.family import resident_mebibytes
from tests.fault_proxy import FaultProxy
from tests.services import Postgres, Redis, free_port, is_ready
from tests.waiting import wait_for

LEASE_SECONDS = 3.0
PAUSE_SECONDS = 0.1
"""Between two questions whether a replica is ready."""

SERVE = """
from service.allocation import nothing_collected
with nothing_collected():
    from service.server import run
    from service.settings import Settings
run(Settings())
"""
LAST = 300
"""Characters at the end of a line that tell its error."""

OWN_FAULTS = ("unexpected error", "cannot go on", "deadlock detected")
Kind = Literal["postgresql", "sqlite"]


class Replica:
    """One service process.

    Attributes:
        clock: Of its machine, if that can be set.
    """

    def __init__(
        self,
        name: str,
        home: Path,
        environment: Mapping[str, str],
        tree: Path,
        port: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.port = port or free_port()
        self.clock = clock
        self.log = home / f"{name}.log"
        self._tree = tree
        self._starting = threading.Lock()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RANKADAPTOR_")}
        self._environment = {
            **clean,
            **environment,
            **(clock.environment if clock else {}),
            "RANKADAPTOR_PORT": str(self.port),
            "PYTHONPATH": str(tree),
            "OMP_NUM_THREADS": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs: two faults that killed it may both bring it back."""
        with self._starting, self.log.open("ab") as log:
            if self.process is not None and self.process.poll() is None:
                return
            command = [sys.executable, "-P", "-c", SERVE]
            self.process = subprocess.Popen(
                command, cwd="/", env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def is_ready(self) -> bool:
        self.start()  # what supervises a service does the same
        return is_ready(self.port)

    def resident_mebibytes(self) -> float:
        assert self.process is not None
        return resident_mebibytes(self.process.pid)


@dataclass
class Site:
    """What a run hurts. ``postgres`` and ``redis`` are None where there is none.

    The clock that leases know, the database's, is the first of ``clocks``; none where none is set.
    """

    home: Path
    database_url: str
    postgres: Postgres | None
    redis: Redis | None
    replicas: list[Replica]
    clocks: list[Clock]
    proxies: list[FaultProxy] = field(default_factory=list)

    def key(self, role: str) -> str:
        return (self.home / f"{role}.key").read_text(encoding="ascii").strip()

    def client(self) -> httpx.Client:
        """An administrator's, to the first replica, past all proxies."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.replicas[0].port}",
            headers={"Authorization": f"Bearer {self.key('admin')}"},
            timeout=30,
        )

    def faults_logged(self) -> list[str]:
        """What services say of themselves that no fault from outside excuses; each error once."""
        lines = [
            line
            for replica in self.replicas
            for line in replica.log.read_text(encoding="utf-8").splitlines()
            if any(words in line for words in OWN_FAULTS)
        ]
        times = Counter(line[-LAST:] for line in lines)
        first = {line[-LAST:]: line for line in reversed(lines)}
        return [f"{times[end]} times in a log: {_ends(line)}" for end, line in first.items()]

    def wait_until_ready(self) -> None:
        for replica in self.replicas:
            wait_for(replica.is_ready, 60, pause_seconds=PAUSE_SECONDS)


@contextmanager
def site(home: Path, kind: Kind, tree: Path, *, proxies: int, sets_clocks: bool) -> Iterator[Site]:
    """Start everything; ``tree`` is where the service's source lies.

    On SQLite there is one replica, and Redis as well.

    Raises:
        Missing: There is no PostgreSQL, no Redis, or no compiler for clocks that can be set.
    """
    with ExitStack() as stack:
        clocks = _clocks(stack) if sets_clocks else []
        told = clocks[0].environment if clocks else {}
        postgres = stack.enter_context(Postgres(environment=told)) if kind == "postgresql" else None
        redis = stack.enter_context(Redis())
        url = postgres.create("chaos") if postgres else f"sqlite:///{home / 'chaos.sqlite'}"
        _migrate(url, tree)
        environment = _environment(home, url, redis.url)
        count = 2 if postgres else 1
        mine = clocks[-count:] if postgres else clocks[:1]
        replicas = [
            Replica(f"replica-{n}", home, environment, tree, clock=clock)
            for n, clock in enumerate(mine or [None] * count)
        ]
        found = Site(home, url, postgres, redis, replicas, clocks if postgres else mine)
        stack.callback(_stop, found)
        replicas[0].start()
        wait_for(replicas[0].is_ready, 60, pause_seconds=PAUSE_SECONDS)
        for replica in replicas[1:]:
            replica.start()
        found.wait_until_ready()
        targets = [("127.0.0.1", replica.port) for replica in replicas]
        found.proxies = [stack.enter_context(FaultProxy(targets)) for _ in range(proxies)]
        yield found


def _ends(line: str) -> str:
    """What happened, and where: a trace ends with its error."""
    return line if len(line) <= 3 * LAST else f"{line[:LAST]} … {line[-LAST:]}"


def _clocks(stack: ExitStack) -> list[Clock]:
    """Three, which every user of this machine may read: PostgreSQL is not run by root."""
    home = Path(stack.enter_context(TemporaryDirectory(prefix="chaos-clocks-")))
    home.chmod(0o755)
    library = build(home)
    return [Clock(library, home / name) for name in ("database", "replica-0", "replica-1")]


def _environment(home: Path, url: str, redis: str) -> dict[str, str]:
    settings = {
        "data_directory": home,
        "database_url": url,
        "redis_url": redis,
        "lease_seconds": LEASE_SECONDS,
        "heartbeat_seconds": LEASE_SECONDS / 6,
        "housekeeping_seconds": 0.25,
        "active_worker_seconds": 10,
        "threads": 32,
        "log_level": "warning",
        "log_format": "json",
    }
    return {f"RANKADAPTOR_{name.upper()}": str(value) for name, value in settings.items()}


def _migrate(url: str, tree: Path) -> None:
    code = (
        "import sys; from service.storage import schema; from service.storage.db import Database; "
        "schema.upgrade(Database(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-P", "-c", code, url]
    subprocess.run(command, check=True, env=environment, cwd="/", capture_output=True)


def _stop(running: Site) -> None:
    for replica in running.replicas:
        if replica.process is not None:
            replica.process.send_signal(signal.SIGKILL)
            replica.process.wait()
