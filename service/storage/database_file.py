"""DatabaseFile: SQLite's file, which can be deleted, damaged or out of room under a service.

SQLite itself goes on in a file that has no name any more, and loses all of it at the end.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

ROOM = 1 << 20
"""Bytes a service that is ready can still write: the log of a few changes."""

_PRIMARY = 0xFF
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DatabaseLost(SQLAlchemyError):
    """Nothing more is written before somebody acts; says what is wrong.

    Attributes:
        hint: What to do.
    """

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.hint)


class DatabaseFile:
    """Watches over the file at ``path``; from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._is_told = False
        self._is_damaged = False
        self._watcher: Callable[[], None] = _nobody

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` hear when the file is first seen to be damaged."""
        self._watcher = watcher

    def note_opened(self, _connection: Any, _record: Any) -> None:
        """Remember which file it is: the one the first connection has opened."""
        self._identity = self._identity or self._found()

    def note_error(self, context: ExceptionContext) -> None:
        """Remember when SQLite says that the file is damaged."""
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & _PRIMARY
        if code in _DAMAGED:
            self.note_damage()

    def note_damage(self) -> None:
        """Somebody has seen that the file is damaged."""
        if not self._is_damaged:
            self._is_damaged = True
            log.error("the database is damaged", file=str(self.path), fix=_RESTORE)
            self._watcher()

    def check_there(self) -> None:
        """Return while the file that was opened is still at its place.

        Raises:
            DatabaseLost: It was deleted, moved or replaced.
        """
        is_there = self._identity is None or self._found() == self._identity
        if not is_there and not self._is_told:
            log.error("the database's file is gone", file=str(self.path), fix=_PUT_BACK)
        self._is_told = not is_there
        if not is_there:
            raise DatabaseLost("the database's file was removed or replaced", _PUT_BACK)

    def check_sound(self) -> None:
        """Return while no damage was seen.

        Raises:
            DatabaseLost: The file is damaged; to write to it would spoil more.
        """
        if self._is_damaged:
            raise DatabaseLost("the database is damaged", _RESTORE)

    def check_room(self) -> None:
        """Return while there is room to write: SQLite itself can go on for long in what it has.

        Raises:
            DatabaseLost: There is less than ``ROOM``.
        """
        try:
            with tempfile.TemporaryFile(dir=self.path.parent, buffering=0) as file:
                is_room = file.write(bytes(ROOM)) == ROOM
        except OSError:
            is_room = False
        if not is_room:
            raise DatabaseLost("there is no room for the database", "make room on its disk")

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116  # twice as quick, and asked all the time
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _nobody() -> None:
    """Nobody watches."""


_PUT_BACK = (
    "stop the service, put the file back or restore a backup (rankadaptor db restore), start it"
)
_RESTORE = "stop the service, move the file away, restore a backup (rankadaptor db restore)"
