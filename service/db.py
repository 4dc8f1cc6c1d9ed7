"""The session boundary. Nobody else begins, commits or rolls back a transaction."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.orm import Session

BUSY_MILLISECONDS = 10_000


class Database:
    """One engine, read transactions and write transactions.

    A write begins IMMEDIATE: a deferred transaction that turns into a writer fails at once when
    another one wrote meanwhile, whatever the busy timeout. Writers of one process queue on a lock,
    because SQLite's own waiting is a sleep of up to 100 ms.
    """

    def __init__(self, url: str, *, connections: int = 40) -> None:
        self.engine = create_engine(url, pool_size=connections, max_overflow=10)
        self._writer = self.engine.execution_options(writes=True)
        self._turn = threading.Lock()
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session on one consistent snapshot; what is changed in it is lost."""
        with Session(self.engine, autoflush=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session: commit on return, roll back on error."""
        with self._turn, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in (
        "journal_mode=WAL",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "foreign_keys=ON",
        "synchronous=FULL",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
