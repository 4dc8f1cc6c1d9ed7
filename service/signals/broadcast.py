"""The broadcast: looks for new events on behalf of all open streams of this process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from fastapi.concurrency import run_in_threadpool

from service.access.logins import Credential, good_credentials
from service.signals.doorbell import Doorbell
from service.signals.stream import Stream, within
from service.storage.db import Database
from service.storage.events import Events, Latest
from service.storage.scope import EVERYTHING, Scope

log = structlog.get_logger(__name__)

GAP_SECONDS, EVERY_SECONDS = 1.0, 2.0
"""Between two looks: at least, though the doorbell rings, and at most, for what others wrote."""

CREDENTIAL_SECONDS = 30.0
"""How often keys and sessions are asked for anew."""

LATE = 1_000
"""Events by which one of another study may have been overtaken on its way into the database.

Only those of one study become visible in the order of their numbers.
"""


class Broadcast:
    """One look serves every stream, and no stream costs none. Belongs to one event loop."""

    def __init__(self, database: Database, doorbell: Doorbell) -> None:
        self._database = database
        self._doorbell = doorbell
        self._late = LATE if database.is_shared else 0
        self._streams: set[Stream] = set()
        self._latest: Mapping[str, Latest] = {}
        self._highest = 0
        self._checked_at = 0.0
        self._rung = asyncio.Event()
        self._is_over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        doorbell.tell(self.ring)

    @property
    def count(self) -> int:
        """Streams that are open."""
        return len(self._streams)

    def ring(self) -> None:
        """Look soon, or end where the doorbell was closed; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._heed)

    @asynccontextmanager
    async def tuned_in(self, stream: Stream, study: str | None) -> AsyncIterator[None]:
        """Tell ``stream`` what happens to ``study``, or to all, from its last known event on."""
        if self._task is None or self._task.done():
            await self._begin()
        self._streams.add(stream)
        try:
            stream.catch_up(await run_in_threadpool(self._last, study, stream.scope))
            if self._doorbell.closed:
                stream.end()
            yield
        finally:
            self._streams.discard(stream)

    async def close(self) -> None:
        """End every stream, and look no more: a look under way is waited for."""
        self._end_all()
        if self._task is not None:
            await self._task

    async def _begin(self) -> None:
        """Learn where things stand before anybody listens: what is old is no news."""
        self._loop = asyncio.get_running_loop()
        self._checked_at = self._loop.time()
        self._highest = await run_in_threadpool(self._last)
        await self._look()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Look as long as there are streams."""
        while not await within(GAP_SECONDS, self._is_over):
            await within(EVERY_SECONDS - GAP_SECONDS, self._rung)
            self._rung.clear()
            if not self._streams:
                return
            try:
                await self._look()
                await self._check_credentials()
            except Exception as error:
                log.error("streams have to wait", exc_info=error)

    async def _look(self) -> None:
        found = await run_in_threadpool(self._since, self._highest - self._late)
        before, self._latest = self._latest, found
        for study, latest in found.items():
            self._highest = max(self._highest, latest.event)
            if before.get(study) != latest:
                for stream in self._streams:
                    stream.hear(latest)

    async def _check_credentials(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < CREDENTIAL_SECONDS:
            return
        asked = {stream.credential for stream in self._streams}
        good = await run_in_threadpool(self._good, asked)
        self._checked_at = now
        for stream in self._streams:
            if stream.credential in asked - good:
                stream.end()

    def _heed(self) -> None:
        self._rung.set()
        if self._doorbell.closed:
            self._end_all()

    def _end_all(self) -> None:
        self._is_over.set()
        self._rung.set()
        for stream in self._streams:
            stream.end()

    def _last(self, study: str | None = None, scope: Scope = EVERYTHING) -> int:
        with self._database.reading() as session:
            events = Events(session)
            return events.last_in(scope) if study is None else events.last(study)

    def _since(self, floor: int) -> Mapping[str, Latest]:
        with self._database.reading() as session:
            return {latest.study: latest for latest in Events(session).latest(floor)}

    def _good(self, asked: set[Credential]) -> frozenset[Credential]:
        with self._database.reading() as session:
            return good_credentials(session, asked)
