"""Stream: one page that is told when to look again."""

import asyncio
from collections.abc import AsyncIterator

from service.access.logins import Credential
from service.storage.events import Latest
from service.storage.scope import Scope

MESSAGE_SECONDS = 1.0
"""Least time between two messages."""

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that nobody between takes the connection for dead."""

RETRY_MILLISECONDS = 2_000
"""When a browser comes back after the connection is lost."""


class Stream:
    """Says that something changed, never what: it keeps one number, however slow its reader is.

    Args:
        credential: What it was opened with.
        scope: How far its owner sees.
        study: The one it is about; None for all within the scope.
        known: The last event its reader knows of.
    """

    __slots__ = ("_due", "_has_more", "_is_over", "_known", "_study", "credential", "scope")

    def __init__(self, credential: Credential, scope: Scope, study: str | None, known: int) -> None:
        self.credential = credential
        self.scope = scope
        self._study = study
        self._known = known
        self._due: int | None = None
        self._has_more = asyncio.Event()
        self._is_over = asyncio.Event()

    def catch_up(self, last: int) -> None:
        """Tell the reader of ``last`` if it knows another one; after a restore it may be lower."""
        if last != self._known:
            self._due = max(last, self._due or 0)
            self._has_more.set()

    def hear(self, latest: Latest) -> None:
        """Note what happened, if it concerns the reader."""
        if self._study == latest.study or (
            self._study is None and self.scope.admits(latest.project)
        ):
            self._due = max(latest.event, self._due or 0)
            self._has_more.set()

    def end(self) -> None:
        self._is_over.set()
        self._has_more.set()

    async def messages(self, seconds: float) -> AsyncIterator[str]:
        """Yield messages and heartbeats until the stream is ended, for ``seconds`` at most."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        while not self._is_over.is_set() and (left := end - clock()) > 0.0:
            if self._due is not None:
                yield self._message(self._due)
                await within(min(MESSAGE_SECONDS, left), self._is_over)
            elif not await within(min(HEARTBEAT_SECONDS, left), self._has_more):
                yield ":\n\n"

    def _message(self, event: int) -> str:
        self._due = None
        self._has_more.clear()
        return f"id: {event}\ndata: changed\n\n"


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for ``event``; tell whether it came in time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
