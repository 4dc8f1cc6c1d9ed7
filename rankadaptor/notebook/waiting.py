"""Waiting for the end of a study, as rarely asking as it rarely changes."""

import time
from collections.abc import Callable

from rankadaptor.following import AWAY
from rankadaptor.notebook.standing import Standing
from rankadaptor.rest.patience import AWAY_SECONDS, patiently
from rankspace.errors import NotOver, TooManyRequests

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 15.0
"""Between two questions: after a change, and after a long time without one."""

Tell = Callable[[str], object]


def until_over(
    study: str,
    ask: Callable[[], Standing],
    *,
    timeout: float | None = None,
    tell: Tell | None = None,
) -> Standing:
    """Return where the study stands once it is over; whatever ends the waiting, it goes on.

    Args:
        study: Its id.
        ask: Where it stands.
        timeout: Seconds to wait; None for as long as it takes.
        tell: Called with a line whenever that changes.

    Raises:
        NotOver: It is not over after ``timeout``.
        Unreachable: The service has not answered at all, or not for ten minutes.
    """
    pauses = _Pauses(study, timeout, tell or (lambda _: None))
    try:
        now = ask()
    except TooManyRequests:  # it is there: others who wait with the same key ask, too
        now = patiently(ask, pauses.away, AWAY_SECONDS)
    while True:
        pauses.say(now.line)
        if now.is_over:
            return now
        pauses.pause()
        now = patiently(ask, pauses.away, AWAY_SECONDS)


class _Pauses:
    """When to ask again, and what was said last."""

    def __init__(self, study: str, timeout: float | None, tell: Tell) -> None:
        self._study, self._tell, self._timeout = study, tell, timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._said, self._seconds = "", FIRST_SECONDS

    def say(self, line: str) -> None:
        if line != self._said:
            self._said, self._seconds = line, FIRST_SECONDS
            self._tell(line)

    def away(self) -> None:
        self.say(AWAY)
        self.pause()

    def pause(self) -> None:
        left = self._seconds if self._deadline is None else self._deadline - time.monotonic()
        if not left > 0:  # nor is nan a time to wait
            raise NotOver(
                f"{self._study} is not over after {self._timeout:g} s ({self._said})",
                hint="it goes on; wait again, or longer",
            )
        time.sleep(min(self._seconds, left))
        self._seconds = min(2 * self._seconds, LONGEST_SECONDS)
