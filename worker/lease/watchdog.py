"""Watchdog: ends a process whose trial has stopped moving, even inside of native code.

A hung kernel or a library that never gives the interpreter back stops no heartbeat thread, or every
thread; either way nobody would ever hear of it. ``faulthandler`` waits in a thread of its own that
needs no interpreter: it writes where every thread stands and ends the process. Whoever supervises
the worker starts it anew. The lease expires, which counts against the trial: by itself, or at once
when the new process claims under the old name.
"""

import faulthandler
import sys
import time
from types import TracebackType
from typing import Self, TextIO

EVERY_SECONDS, SHARE = 1.0, 0.1
"""How often the alarm is set anew at most, for setting it starts a thread; and of a short patience,
at least so often."""


class Watchdog:
    """Ends the process when nobody says ``moves`` for ``seconds`` within the ``with`` block.

    Args:
        seconds: Longer than loading the model, and than measuring the held-out data.
        log: Where the stacks of all threads go.
    """

    def __init__(self, seconds: float, log: TextIO | None = None) -> None:
        self._seconds = seconds
        self._every = min(EVERY_SECONDS, SHARE * seconds)
        self._log = log or sys.__stderr__ or sys.stderr
        self._set_at = 0.0

    def __enter__(self) -> Self:
        self._set()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        faulthandler.cancel_dump_traceback_later()

    def moves(self) -> None:
        """The trial has got further."""
        if time.monotonic() - self._set_at >= self._every:
            self._set()

    def _set(self) -> None:
        self._set_at = time.monotonic()
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._log)
