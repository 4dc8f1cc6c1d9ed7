"""Refusals: who was refused a moment ago is refused again without being looked up."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from rankspace.errors import TooManyRequests

MOST = 1_000
"""Refusals remembered; beyond it, the oldest are looked up again."""


class Refusals:
    """Until when somebody need not come back; may be used from any thread.

    Whoever does not heed it costs as little as can be: no thread and no question to the database.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, str, str]] = OrderedDict()

    def note(self, digest: str, error: TooManyRequests) -> None:
        """Remember why and until when whoever shows the secret of ``digest`` was refused."""
        until = self._clock() + error.wait_seconds
        with self._lock:
            self._known[digest] = until, error.detail, error.hint
            self._known.move_to_end(digest)
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def check(self, digest: str) -> None:
        """Do nothing for anybody who was not refused lately.

        Raises:
            TooManyRequests: As it was noted, with the time that is left.
        """
        with self._lock:
            until, detail, hint = self._known.get(digest, (-math.inf, "", ""))
            left = until - self._clock()
            if left <= 0.0:
                self._known.pop(digest, None)
                return
        raise TooManyRequests(detail, hint=hint, wait_seconds=left)
