"""The session boundary. Nobody else begins, commits or rolls back a transaction."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from rankspace.errors import InvalidInput
from service.storage.database_file import DatabaseFile
from service.storage.sole_server import sole_server

BUSY_MILLISECONDS = 10_000

CACHE_KIBIBYTES = 256
"""Of each connection to SQLite, which are many; the file itself is in the system's cache."""

PRAGMAS: dict[str, str | int] = {
    "journal_mode": "WAL",
    "busy_timeout": BUSY_MILLISECONDS,
    "foreign_keys": "ON",
    "synchronous": "FULL",
    "cache_size": -CACHE_KIBIBYTES,
}
"""Of each of SQLite's connections."""

SPARE = 5
"""Connections beyond those of requests: planning and housekeeping must not starve."""

_ADDRESS = "use sqlite:///FILE or postgresql://USER@HOST/NAME"

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}

POSTGRES_LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "120s",
}
"""A connection that hangs must not hold its locks for ever."""

POSTGRES_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "rankadaptor",
    "options": " ".join(f"-c {name}={value}" for name, value in POSTGRES_LIMITS.items()),
}


class Database:
    """One engine, read transactions and write transactions.

    A read sees one snapshot. A write on SQLite begins IMMEDIATE: a deferred transaction that turns
    into a writer fails at once when another one wrote meanwhile, whatever the busy timeout. Writers
    of one process queue on a lock, because SQLite's own waiting is a sleep of up to 100 ms. On
    PostgreSQL writes run side by side, and those of one study queue on its row (``Studies.lock``).
    """

    def __init__(self, url: str, *, connections: int = 40, spare: int = SPARE) -> None:
        self.engine = _engine(url, connections, spare)
        self.is_shared = self.engine.dialect.name == "postgresql"
        """Whether several processes may serve from it."""
        self._reader = _reader(self.engine) if self.is_shared else self.engine
        self._writer = self.engine.execution_options(writes=True)
        self._turn = nullcontext() if self.is_shared else threading.Lock()
        self._file = _file(self.engine)

    def served_alone(self, address: str) -> AbstractContextManager[None]:
        """Keep other services from a SQLite file meanwhile; raises as ``sole_server`` does."""
        return nullcontext() if self._file is None else sole_server(self._file.path, address)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session on one consistent snapshot; what is changed in it is lost.

        Raises:
            DatabaseLost: Its file is gone.
        """
        if self._file is not None:
            self._file.check_there()
        with Session(self._reader, autoflush=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session: commit on return, roll back on error.

        Raises:
            DatabaseLost: Its file is gone or damaged.
        """
        self.check_file()
        with self._turn, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def check_file(self) -> None:
        """Return while it may be written to, as far as is known.

        Raises:
            DatabaseLost: Its file is gone or damaged.
        """
        if self._file is not None:
            self._file.check_there()
            self._file.check_sound()

    def watch_damage(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` hear when its file is first seen to be damaged."""
        if self._file is not None:
            self._file.watch(watcher)

    def note_damage(self) -> None:
        """Another process has seen that its file is damaged."""
        if self._file is not None:
            self._file.note_damage()

    def check_room(self) -> None:
        """Return while there is room to write, as far as can be told from here.

        Raises:
            DatabaseLost: There is none.
        """
        if self._file is not None:
            self._file.check_room()

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Let one process at a time do ``what``; the others wait.

        An advisory lock of a transaction: PostgreSQL gives it back when the process dies, and
        poolers between transactions cannot strand it. SQLite has one serving process anyway.
        """
        if not self.is_shared:
            yield
            return
        with self.engine.connect() as connection:
            connection.execute(_PATIENT)
            connection.execute(_ALONE, {"what": what})
            yield

    @contextmanager
    def attempt(self, what: str, patience_seconds: float) -> Iterator[bool]:
        """As ``alone``, but yield False if another process still does it after a while.

        Whoever stops in the middle, or whose machine is gone, must not stop all others.
        """
        if not self.is_shared:
            yield True
            return
        with self.engine.connect() as connection:
            connection.execute(_MINUTES)
            yield _within(connection, what, patience_seconds)

    def close(self) -> None:
        self.engine.dispose()


def insert_new(session: Session, table: Table, **values: Any) -> None:
    """Insert a row unless one with its primary key is there."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    statement = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    session.execute(statement.on_conflict_do_nothing(), values)


_PATIENT = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '15min', true), "
    "set_config('lock_timeout', '15min', true), set_config('statement_timeout', '15min', true)"
)
_MINUTES = text("SELECT set_config('idle_in_transaction_session_timeout', '5min', true)")
_KEY = "hashtextextended('rankadaptor ' || :what, 0)"
_ALONE = text(f"SELECT pg_advisory_xact_lock({_KEY})")
_ATTEMPT = text(f"SELECT pg_try_advisory_xact_lock({_KEY})")
ATTEMPT_SECONDS = 0.02


def _within(connection: Connection, what: str, seconds: float) -> bool:
    """Try for so long to get the lock."""
    deadline = time.monotonic() + seconds
    while not connection.scalar(_ATTEMPT, {"what": what}):
        if time.monotonic() >= deadline:
            return False
        time.sleep(ATTEMPT_SECONDS)
    return True


def _engine(url: str, connections: int, spare: int) -> Engine:
    """Make the engine, without connecting.

    Raises:
        InvalidInput: The address is none, or of a database or driver that is not there.
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(
            address, pool_size=connections, max_overflow=spare, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        address,
        pool_size=connections,
        max_overflow=spare,
        pool_timeout=10,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args=POSTGRES_CONNECTION,
        hide_parameters=True,  # errors go to the log, and digests of secrets are parameters
    )


def _file(engine: Engine) -> DatabaseFile | None:
    """What watches over the engine's file, where there is one."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return None
    file = DatabaseFile(Path(path))
    event.listen(engine, "connect", file.note_opened)
    event.listen(engine, "handle_error", file.note_error)
    return file


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:
        raise InvalidInput("database_url", "***", "is no address", fix=_ADDRESS) from None
    if address.drivername != "sqlite" and find_spec("psycopg") is None:
        fix = "pip install 'rankadaptor[postgres]'"
        raise InvalidInput("database_url", address.drivername, "needs psycopg", fix=fix)
    driver = DRIVERS.get(address.drivername.partition("+")[0])
    if driver is None:
        shown = address.render_as_string(hide_password=True)
        problem = "is no database this service knows"
        raise InvalidInput("database_url", shown, problem, fix=_ADDRESS)
    return address.set(drivername=driver)


def _reader(engine: Engine) -> Engine:
    return engine.execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True, postgresql_deferrable=False
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
