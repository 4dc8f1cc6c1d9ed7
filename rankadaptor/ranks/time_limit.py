"""A limit on the time that matching strangers' patterns may take."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rankspace.errors import InvalidInput

SECONDS = 5.0
"""A thousand plain patterns on the largest model take one; ``(a+)+$`` would take years."""


class _Over(Exception):
    """The time is up."""


@contextmanager
def time_limit(field: str) -> Iterator[None]:
    """Bound what is done meanwhile; without effect where there are no signals to end it by.

    Raises:
        InvalidInput: The time was up; ``field`` is to blame.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):  # Windows has none
        yield
        return
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    except _Over:
        problem = f"matching takes longer than {SECONDS:g} s"
        raise InvalidInput(field, "…", problem, fix="write names, or plainer patterns") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _give_up(number: int, frame: FrameType | None) -> None:
    raise _Over
