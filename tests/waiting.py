"""Waiting in tests: on a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 60.0
"""How long something may take that is no matter of time: on a busy machine, everything."""

PAUSE_SECONDS = 0.01
"""Between two questions that cost nothing; a service that is asked so often has a core less."""


def wait_for(
    condition: Callable[[], Found],
    seconds: float = PATIENCE_SECONDS,
    *,
    pause_seconds: float = PAUSE_SECONDS,
) -> Found:
    """Return what ``condition`` returns once it is true, asked again after every pause.

    Raises:
        AssertionError: It is not after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"{condition} did not come true within {seconds} s")
        time.sleep(pause_seconds)
    return result
