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


def write_private(path: Path, text: str) -> None:
    """Write ASCII that only the owner can read, completely or not at all, whatever was there."""
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)  # of a process that died
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
