"""Readiness: whether the database can be written. Looked up once for all who ask within a second.

The question needs no key, so it must not be a way to make the service write all day.
"""

import asyncio
import math
import time

import anyio.to_thread
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from rankspace.errors import Unreachable
from service.storage.database_file import DatabaseLost
from service.storage.db import Database
from service.storage.schema import is_current
from service.storage.tables import AttendanceRow

FRESH_SECONDS = 1.0
_TOUCH = update(AttendanceRow).values(fence=AttendanceRow.fence)
"""Changes nothing, and needs everything that a write needs."""

WAIT_SECONDS = 0.5
"""How long whoever asks waits for the look; supervisors often give an answer one second."""

PATIENCE_SECONDS = 5.0
"""How long the last good answer stands while a look takes longer than that."""


class Readiness:
    """Whoever asks shares one look with all others, good or bad; used on the event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._look: asyncio.Task[None] | None = None
        self._looked_at = -math.inf
        self._good_at = -math.inf

    async def check(self) -> None:
        """Return if the database was just found well.

        Raises:
            Unreachable: It cannot be written, there is no room, its file is gone or damaged, or its
                schema is another version's; or it has not answered in time.
        """
        look = self._recent_look()
        await asyncio.wait({look}, timeout=WAIT_SECONDS)
        if look.done():
            look.result()
        elif time.monotonic() - self._good_at > PATIENCE_SECONDS:
            raise Unreachable("the database has not answered yet", hint="try again")

    def _recent_look(self) -> asyncio.Task[None]:
        """The look that goes on, or the last one while it is fresh, or a new one."""
        is_over = self._look is None or self._look.done()
        if self._look is None or (is_over and time.monotonic() - self._looked_at >= FRESH_SECONDS):
            self._look = asyncio.create_task(self._take())
            self._look.add_done_callback(_retrieve)
        return self._look

    async def _take(self) -> None:
        try:
            await anyio.to_thread.run_sync(self._ask, abandon_on_cancel=True)
            self._good_at = time.monotonic()
        except Unreachable:
            self._good_at = -math.inf
            raise
        finally:
            self._looked_at = time.monotonic()

    def _ask(self) -> None:
        try:
            with self._database.writing() as session:
                session.execute(_TOUCH)
                current = is_current(self._database)
            self._database.check_room()
        except DatabaseLost as error:
            raise Unreachable(str(error), hint=error.hint) from None
        except SQLAlchemyError:
            hint = "see the service's log"
            raise Unreachable("the database cannot be written", hint=hint) from None
        if not current:
            raise Unreachable("the schema is another version's", hint="rankadaptor db check")


def _retrieve(look: asyncio.Task[None]) -> None:
    """Whoever asked may be gone: its error is nobody's then, and no warning."""
    if not look.cancelled():
        look.exception()
