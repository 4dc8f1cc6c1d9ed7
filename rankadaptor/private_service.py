"""A server and workers of one command's own: what a person would type, as child processes."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from rankadaptor.rest.client import RestClient
from rankspace.errors import Unreachable

START_SECONDS = 60.0
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)  # not first between fork and exec, where its lock may be held


@contextmanager
def service(
    home: Path, logs: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RestClient]:
    """Run ``rankadaptor serve`` with its files in ``home``; yield a client once it is ready."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["serve", "--port", str(port), "--data", str(home)]
    command += ["--lease-seconds", "30", "--heartbeat-seconds", "5"]
    with _running(command, logs / "service.log", environment) as process:
        key = _wait_for_key(home / "admin.key", process)
        with RestClient(url, key) as client:
            _wait_until_ready(client, process)
            yield client


@contextmanager
def workers(
    count: int, url: str, home: Path, logs: Path, options: Sequence[str] = ()
) -> Iterator[Sequence["Process"]]:
    """Run ``count`` times ``rankadaptor worker``, with ``options`` each."""
    with ExitStack() as stack:
        started = []
        for number in range(1, count + 1):
            command = ["worker", "--url", url, "--key-file", str(home / "worker.key")]
            command += ["--name", f"worker-{number}", *options]
            environment = {
                "RANKADAPTOR_SPOOL_DIRECTORY": str(home / f"spool-{number}"),
                "RANKADAPTOR_TOKEN_DIRECTORY": str(home / "tokens"),
            }
            log = logs / f"worker-{number}.log"
            started.append(stack.enter_context(_running(command, log, environment)))
        yield started


class Process:
    """A child process and the log that tells why it died."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self._child = child
        self._log = log

    def check(self) -> None:
        """Raise Unreachable, with the end of its log, if the process is no more."""
        if self._child.poll() is not None:
            tail = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
            raise Unreachable(
                f"{self._log.stem} ended with code {self._child.returncode}:\n" + "\n".join(tail),
                hint=f"the whole log is {self._log}",
            )


@contextmanager
def _running(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[Process]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:  # of a run that goes on, what the one before said stays
        child = subprocess.Popen(
            [sys.executable, "-m", "rankadaptor.cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**clean_environment(), **environment},
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        try:
            yield Process(child, log)
        finally:
            _stop(child)


def _end_with_parent() -> None:
    """Have Linux stop this child when its parent is gone, also one that was killed outright.

    Else the next run would meet a service that has its database, and workers of nobody's.
    """
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def clean_environment() -> dict[str, str]:
    """Leave out the caller's own RANKADAPTOR settings: it must not meet a real service."""
    return {name: v for name, v in os.environ.items() if not name.startswith("RANKADAPTOR_")}


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_key(file: Path, process: Process) -> str:
    _wait(file.exists, process)
    return file.read_text(encoding="utf-8").strip()


def _wait_until_ready(client: RestClient, process: Process) -> None:
    _wait(client.ready, process)


def _wait(condition: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        process.check()
        if time.monotonic() > deadline:
            raise Unreachable(f"the service did not start within {START_SECONDS:.0f} s")
        time.sleep(0.1)
