"""Reading a file of training text: a regular one, of a size that fits in memory, UTF-8."""

import os
import stat
from pathlib import Path

from rankspace.errors import CannotOpen, InvalidInput

MOST_BYTES = 2 * 2**30
"""Largest file of training text; it is read and tokenised as a whole."""


def read_text_file(field: str, path: Path) -> str:
    """Read the whole of ``path``; errors name ``field`` and carry nothing of the content.

    Raises:
        InvalidInput: It is not UTF-8.
        CannotOpen: This machine cannot read it, it is a device, a pipe or a directory, or it is
            larger than ``MOST_BYTES``.
    """
    try:
        with open(path, encoding="utf-8", opener=_open) as file:
            _check(field, path, os.fstat(file.fileno()))
            return file.read()
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
        raise InvalidInput(field, str(path), problem, fix="convert it: iconv -t UTF-8") from None
    except OSError as error:
        problem, fix = f"cannot be read: {error.strerror}", "put it where this worker can open it"
        raise CannotOpen(field, str(path), problem, fix=fix) from error


def _open(path: str, flags: int) -> int:
    """A pipe would otherwise keep whoever opens it until somebody writes."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def _check(field: str, path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CannotOpen(field, str(path), "is no regular file", fix="name a file of text")
    if found.st_size > MOST_BYTES:
        problem = f"has {found.st_size:,} bytes, more than the {MOST_BYTES:,} that are read"
        raise CannotOpen(field, str(path), problem, fix="give a part of it")
