"""One service at a time on a SQLite file: two would plan each study without the other's results."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import structlog

from rankspace.errors import Conflict, InvalidInput

log = structlog.get_logger(__name__)

SUFFIX = ".lock"
LONGEST = 200  # bytes of who has it


@contextmanager
def sole_server(file: Path, address: str) -> Iterator[None]:
    """Keep other services from the database in ``file`` while this one serves at ``address``.

    The system's own lock: it ends with the process, however that ends, and what is left of it keeps
    nobody away. ``rankadaptor db`` does not ask for it: backups are taken while a service goes on.

    Raises:
        Conflict: Another service has it.
        InvalidInput: Nothing can be written beside the file.
    """
    with _opened(_beside(file)) as lock:
        if not _is_taken(lock):
            raise Conflict(
                f"another service has {file} ({_holder(lock)})",
                hint="use that one, stop it, or give this one another directory (--data); several "
                "services on one database need PostgreSQL",
            )
        with suppress(OSError):  # on a full disk it is only not told who has it
            lock.truncate(0)
            lock.write(f"{address}, process {os.getpid()}".encode())
        yield


def _beside(file: Path) -> Path:
    """The same for whoever comes by a link."""
    real = file.resolve()
    return real.with_name(f"{real.name}{SUFFIX}")


def _opened(path: Path) -> FileIO:
    try:
        return path.open("a+b", buffering=0)
    except OSError as error:
        fix = "give a directory where this user may write, in --data or RANKADAPTOR_DATA_DIRECTORY"
        problem = f"cannot be written: {error.strerror}"
        raise InvalidInput("data_directory", str(path.parent), problem, fix=fix) from error


def _is_taken(lock: FileIO) -> bool:
    """Take it, unless another process has; where there are no such locks nobody is kept away."""
    try:
        import fcntl  # noqa: PLC0415  # Windows has none
    except ImportError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning("a second service would not be noticed", file=lock.name, problem=str(error))
    return True


def _holder(lock: FileIO) -> str:
    lock.seek(0)
    return lock.read(LONGEST).decode("utf-8", "replace")
