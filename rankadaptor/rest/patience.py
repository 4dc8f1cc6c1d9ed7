"""Patience with a service that has answered before: a restart, an upgrade, a network."""

import time
from collections.abc import Callable
from typing import TypeVar

from rankspace.errors import TooManyRequests, Unreachable

T = TypeVar("T")

AWAY_SECONDS = 600.0
"""How long it may be away."""


def patiently(ask: Callable[[], T], pause: Callable[[], None], seconds: float) -> T:
    """Ask until the service answers: it loses nothing by a restart, and nor does who waits.

    Args:
        ask: A question that changes nothing.
        pause: Called after each one that was not answered, and takes its time.
        seconds: For how long.

    Raises:
        Unreachable: It has not answered for ``seconds``.
        TooManyRequests: Likewise.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (Unreachable, TooManyRequests):
            if time.monotonic() > deadline:
                raise
            pause()
