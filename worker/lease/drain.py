"""Drain: how a worker is asked to leave."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Drained(BaseException):
    """Raised out of what can be left at once; not an Exception, so that nobody swallows it."""


class Drain:
    """A request to leave.

    The first SIGTERM or SIGINT gives the running trial back (which counts as no attempt) at its
    next step, unless it is nearly done, and ends the worker; waiting for work is left at once. A
    second signal does what it does to any process.
    """

    def __init__(self) -> None:
        self.requested = False
        self._requested_at = 0.0
        self._interruptible = False
        self._wake = threading.Event()

    def install(self) -> None:
        """Listen to the signals; only possible in the main thread."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def request(self) -> None:
        """Ask from inside the process; takes effect at the next step or when a wait ends."""
        if not self.requested:
            self._requested_at = time.monotonic()
        self.requested = True
        self._wake.set()

    def left_of(self, grace_seconds: float) -> float | None:
        """What is left of a grace since leaving was asked for, at least 0; None before that."""
        if not self.requested:
            return None
        return max(0.0, self._requested_at + grace_seconds - time.monotonic())

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal end the block by raising Drained."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    def check(self) -> None:
        """Raise Drained if leaving was asked for."""
        if self.requested:
            raise Drained

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until leaving is asked for; then raise Drained."""
        self._wake.wait(seconds)
        self.check()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.request()
        if self._interruptible:
            self._interruptible = False
            raise Drained
