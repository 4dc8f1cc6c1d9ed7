"""Life: one run of the planning process, and the lines on which it is asked."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeAlias

from service.planning.planner import THREADS

LOOKS = 2
"""Looks at a time, as many as the cache of insights has threads for."""

TOLD, RAISED, DONE = "told", "raised", "done"
"""What a message of the process is: of what was done meanwhile, or the last one."""

PROGRAM = ("-P", "-m", "service.planning.apart")
"""What it runs, with what this process may import."""

BLOCKED = frozenset({signal.SIGINT, signal.SIGTERM})
"""What a terminal or a supervisor sends to all processes of a group: the parent decides."""

END_SECONDS = 5.0
"""How long it may take to end before it is killed: it only has to see that it should."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")}
"""Of linear algebra, unless the operator says more: its matrices are small, so that further threads
mostly spin, on the cores that heartbeats are answered on."""

Tell: TypeAlias = Callable[..., None]


class LifeEnded(Exception):
    """The process ended before it had answered.

    Attributes:
        was_asked: Whether it may have begun.
    """

    def __init__(self, *, was_asked: bool) -> None:
        super().__init__("the planning process has ended")
        self.was_asked = was_asked


class Life:
    """Started with what it has to know; whoever asks first waits until it is ready.

    Attributes:
        plans: Lines on which studies are planned that nobody uses now.
        looks: Those on which is looked at what is known.
    """

    def __init__(self, *known: Any) -> None:
        pairs = [Pipe() for _ in range(1 + THREADS + LOOKS)]
        theirs = [end for _, end in pairs]
        try:
            self._process = _spawned([end.fileno() for end in theirs])
        finally:
            for end in theirs:
                end.close()
        self._line, *lines = (end for end, _ in pairs)
        with suppress(OSError):  # it has ended already, as the first who asks will hear
            self._line.send(known)
        self._lock = threading.Lock()
        self._was_ready: bool | None = None
        self.plans, self.looks = _queue(lines[:THREADS]), _queue(lines[THREADS:])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_there(self) -> bool:
        return self._process.poll() is None

    def ask(self, lines: "SimpleQueue[Connection]", tell: Tell, *asked: Any) -> Any:
        """Have it answer; ``tell`` hears of what it did meanwhile.

        Raises:
            LifeEnded: It was gone before.
        """
        with _borrowed(lines) as line:
            try:
                line.send(asked)
            except OSError:
                raise LifeEnded(was_asked=False) from None
            what, *content = self._heard(line)
            while what == TOLD:
                tell(*content)
                what, *content = self._heard(line)
        if what == RAISED:
            raise content[0]
        return content[0]

    def _heard(self, line: Connection) -> Any:
        try:
            return line.recv()
        except (EOFError, OSError):
            raise LifeEnded(was_asked=True) from None
        except Exception:  # half a message may be left: nothing that follows could be understood
            self._process.kill()
            raise

    def ended(self) -> tuple[int, bool]:
        """Wait for its end; return its exit code, and whether it had come to be ready."""
        code = self._process.wait()
        with self._lock:
            if self._was_ready is None:
                self._was_ready = _has_word(self._line)
            return code, self._was_ready

    def end(self) -> None:
        """Have it end now; kill it if it does not."""
        self._line.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _spawned(lines: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start it with these descriptors, and signals left to this process."""
    environment = ONE_THREAD | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, *PROGRAM, *map(str, lines)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)  # it inherits what is blocked
    try:
        return subprocess.Popen(command, pass_fds=lines, env=environment, stdin=subprocess.DEVNULL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _queue(lines: Sequence[Connection]) -> "SimpleQueue[Connection]":
    queue: SimpleQueue[Connection] = SimpleQueue()
    for line in lines:
        queue.put(line)
    return queue


@contextmanager
def _borrowed(lines: "SimpleQueue[Connection]") -> Iterator[Connection]:
    """A broken line goes back as well: who waits for one must hear that it is broken."""
    line = lines.get()
    try:
        yield line
    finally:
        lines.put(line)


def _has_word(line: Connection) -> bool:
    try:
        line.recv()
    except (EOFError, OSError):
        return False
    return True
