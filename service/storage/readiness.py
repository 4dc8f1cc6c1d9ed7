"""Readiness: whether the database can be written. Looked up for all who ask within a second.

The question needs no key, so it must not be a way to make the service write all day.
"""

import math
import threading
import time

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from rankspace.errors import Unreachable
from service.storage.db import Database
from service.storage.schema import is_current
from service.storage.tables import AttendanceRow

FRESH_SECONDS = 1.0
_TOUCH = update(AttendanceRow).values(fence=AttendanceRow.fence)
"""Changes nothing, and needs everything that a write needs."""

PATIENCE_SECONDS = 5.0
"""How long the last good answer stands while somebody looks: nobody waits in line for a look."""


class Readiness:
    """Remembers the last good answer; a bad one is looked up again every time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._good_at = -math.inf

    def check(self) -> None:
        """Return if the database was just found well.

        Raises:
            Unreachable: It cannot be written, or its schema is another version's; or it has not
                answered whoever asked first.
        """
        age = time.monotonic() - self._good_at
        if age < FRESH_SECONDS:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        elif age > PATIENCE_SECONDS:
            raise Unreachable("the database has not answered yet", hint="try again")

    def _look(self) -> None:
        try:
            self._ask()
        except Unreachable:
            self._good_at = -math.inf
            raise
        self._good_at = time.monotonic()

    def _ask(self) -> None:
        try:
            with self._database.writing() as session:
                session.execute(_TOUCH)
                current = is_current(self._database)
        except SQLAlchemyError:
            hint = "see the service's log"
            raise Unreachable("the database cannot be written", hint=hint) from None
        if not current:
            raise Unreachable("the schema is another version's", hint="rankadaptor db check")
