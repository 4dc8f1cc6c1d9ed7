"""Private files: keys, the database and its backups are for nobody but the service's own user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def owner_only() -> Iterator[None]:
    """Make what this process makes meanwhile unreadable for everybody else."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def drafted(path: Path, text: str) -> Iterator[None]:
    """Write ASCII that only the owner can read; it takes its place when the block ends well.

    Until then, and for ever after an error, what was there before stays.

    Raises:
        OSError: It cannot be written, mostly before the block begins.
    """
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)  # of a process that died
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
