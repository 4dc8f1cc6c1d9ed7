"""A real service and real workers, as a person would start them, to be killed at will."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rankadaptor.client import Client
from tests.services import free_port
from tests.waiting import wait_for

LEASE_SECONDS = 6.0


class Fleet:
    """One service with its home in ``home``, and any number of workers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self.logs.mkdir(parents=True)
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        return Client(self.url, (self.home / "admin.key").read_text(encoding="utf-8").strip())

    def start_service(self) -> None:
        options = ["--port", str(self.port), "--data", str(self.home)]
        options += ["--lease-seconds", str(LEASE_SECONDS), "--heartbeat-seconds", "1"]
        self._start("service", "serve", *options)
        wait_for((self.home / "admin.key").exists, 60)
        with self.client() as client:
            wait_for(client.ready, 60)

    def start_worker(self, name: str) -> None:
        options = ["--url", self.url, "--key-file", str(self.home / "worker.key"), "--name", name]
        self._start(name, "worker", *options, "--cpu-threads", "1")

    def kill(self, name: str) -> None:
        """SIGKILL: no time to say good-bye."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def _start(self, name: str, *command: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RANKADAPTOR_")}
        environment |= {
            "OMP_NUM_THREADS": "1",
            "RANKADAPTOR_SPOOL_DIRECTORY": str(self.home / f"spool-{name}"),
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "rankadaptor.cli", *command],
                cwd="/",
                env=environment,
                stdout=log,
                stderr=log,
            )
