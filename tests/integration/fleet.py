"""A real service and real workers, as a person would start them, to be killed at will."""

import os
import signal
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from rankadaptor.rest.client import RestClient
from tests.integration import forked
from tests.services import free_port
from tests.waiting import wait_for

SERVICE = "service"

LONG_LEASE_SECONDS = 600.0
"""Nobody loses a trial, however long a service takes to come back."""

SHORT_LEASE_SECONDS = 6.0
"""For a test that waits for the end of one."""


class Fleet:
    """One service with its home in ``home``, and any number of workers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self.logs.mkdir(parents=True)
        self.port = free_port()
        self.processes: dict[str, BaseProcess] = {}
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in list(self.processes):
            self.kill(name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> RestClient:
        return RestClient(self.url, (self.home / "admin.key").read_text(encoding="utf-8").strip())

    def staff(self, workers: int, *, lease_seconds: float = LONG_LEASE_SECONDS) -> list[str]:
        """Start the service anew with such leases; have so many workers; return their names."""
        if SERVICE in self.processes:
            self.kill(SERVICE)
        self.start_service(lease_seconds)
        for name in self.workers[workers:]:
            self.kill(name)
        while len(self.workers) < workers:
            self._number += 1
            self.start_worker(f"worker-{self._number}")
        return self.workers

    @property
    def workers(self) -> list[str]:
        return [name for name in self.processes if name != SERVICE]

    def start_service(self, lease_seconds: float = LONG_LEASE_SECONDS) -> None:
        options = ["--port", str(self.port), "--data", str(self.home)]
        options += ["--lease-seconds", str(lease_seconds), "--heartbeat-seconds", "1"]
        self._start(SERVICE, "serve", *options)
        wait_for((self.home / "admin.key").exists)
        with self.client() as client:
            wait_for(client.ready, pause_seconds=0.1)

    def start_worker(self, name: str) -> None:
        options = ["--url", self.url, "--key-file", str(self.home / "worker.key"), "--name", name]
        self._start(name, "worker", *options, "--cpu-threads", "1")

    def kill(self, name: str) -> None:
        """SIGKILL: no time to say good-bye."""
        process = self.processes.pop(name)
        process.kill()
        process.join()

    def stop(self, name: str) -> None:
        """SIGSTOP: it does nothing until it is told to ``go_on``, or killed."""
        self._signal(name, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: int) -> None:
        pid = self.processes[name].pid
        assert pid is not None
        os.kill(pid, number)

    def unanswered(self, worker: str) -> int:
        """How often ``worker`` has said that the service did not answer a claim or a report."""
        log = (self.logs / f"{worker}.log").read_text(encoding="utf-8")
        return sum(log.count(words) for words in ("service_away", "report_waits"))

    def _start(self, name: str, *command: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RANKADAPTOR_")}
        environment |= {
            "RANKADAPTOR_AWAY_SECONDS": "0.5",
            "RANKADAPTOR_SPOOL_DIRECTORY": str(self.home / f"spool-{name}"),
            "RANKADAPTOR_TOKEN_DIRECTORY": str(self.home / "tokens"),
        }
        work = partial(forked.command, command)
        self.processes[name] = forked.start(work, environment, self.logs / f"{name}.log")
