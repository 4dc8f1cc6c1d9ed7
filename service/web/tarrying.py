"""Tarrying: how long the answer to who should come back later is held back.

Who does not heed it asks again at once, and each answer costs what another's does. A key that has
sixty such callers at a time would cost sixty times what one does; so the more of them wait for
the same refusal, the longer each one waits.
"""

import asyncio
from collections import Counter

LEAST_SECONDS = 1.0
MOST_SECONDS = 5.0
"""Half of what a worker waits for its answer."""

AT_ONCE = 8
"""Callers that wait for the same refusal, up to which each waits the least time."""


class Tarrying:
    """Those who wait for a refusal now; used on the event loop only."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def wait(self, refusal: str) -> None:
        """Hold the answer back; ``refusal`` says who is refused, and why."""
        self._waiting[refusal] += 1
        try:
            await asyncio.sleep(held_seconds(self._waiting[refusal]))
        finally:
            self._waiting -= Counter({refusal: 1})  # drops what comes to zero


def held_seconds(waiting: int) -> float:
    """How long an answer is held that so many wait for, itself included."""
    return min(LEAST_SECONDS * max(1.0, waiting / AT_ONCE), MOST_SECONDS)
