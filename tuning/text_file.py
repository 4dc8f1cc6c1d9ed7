"""Reading a file of training text: a regular one, of a size that fits in memory, UTF-8."""

import codecs
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from rankspace.errors import CannotOpen, InvalidInput
from tuning.file_kinds import check_kind

MOST_BYTES = 2 * 2**30
"""Largest file of training text; it is read and tokenised as a whole."""

MARK = "\ufeff"
"""Byte order mark: some editors begin a file with it, and files put together keep theirs."""


def read_text_file(field: str, path: Path) -> str:
    """Read the whole of ``path``; errors name ``field`` and carry nothing of the content.

    Raises:
        InvalidInput: It is not UTF-8.
        CannotOpen: This machine cannot read it, it is a device, a pipe or a directory, or it is
            larger than ``MOST_BYTES``.
    """
    with opened(field, path) as file:
        content = file.read()
    return decode(field, path, content)


@contextmanager
def opened(field: str, path: Path) -> Iterator[BufferedReader]:
    """Open a file of training text, which takes no time whatever it is.

    Raises:
        CannotOpen: This machine cannot read it, or could not to its end; it is a device, a pipe or
            a directory, or it is larger than ``MOST_BYTES``.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            _check(field, path, os.fstat(file.fileno()))
            yield file
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise CannotOpen(field, str(path), problem, fix="put it where it can be read") from error


def decode(field: str, path: Path, content: bytes, *, is_whole: bool = True) -> str:
    r"""Return UTF-8 as text whose lines end in ``\n``, without byte order marks.

    Args:
        field: For the error.
        path: Likewise.
        content: Of the file, from its beginning.
        is_whole: Else more follows, and a character cut at the end is left out.

    Raises:
        InvalidInput: It is something else, named where it is known.
    """
    check_kind(field, path, content)
    try:
        text, _ = codecs.utf_8_decode(content, "strict", is_whole)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
        fix = f"convert it: iconv -f ISO-8859-1 -t UTF-8 {shlex.quote(path.name)} > utf8"
        fix += " (or from what it is)"
        raise InvalidInput(field, str(path), problem, fix=fix) from None
    return _without_marks(_with_plain_ends(text))


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _without_marks(text: str) -> str:
    return text.lstrip(MARK).replace(f"\n{MARK}", "\n") if MARK in text else text


def _open(path: str, flags: int) -> int:
    """A pipe would otherwise keep whoever opens it until somebody writes."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)


def _check(field: str, path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CannotOpen(field, str(path), "is no regular file", fix="name a file of text")
    if found.st_size > MOST_BYTES:
        problem = f"has {found.st_size:,} bytes, more than the {MOST_BYTES:,} that are read"
        raise CannotOpen(field, str(path), problem, fix="give a part of it")
