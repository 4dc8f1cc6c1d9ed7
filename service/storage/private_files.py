"""Modes of files: the database and its backups hold digests of keys, and other people's work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def owner_only() -> Iterator[None]:
    """Make what this process makes meanwhile unreadable for everybody else."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
