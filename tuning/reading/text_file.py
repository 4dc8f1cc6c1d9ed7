"""Reading a file of training text: a regular one, of a size that fits in memory, UTF-8.

Of one packed by gzip, what comes out is what is measured: a packed file of a few megabytes may hold
gigabytes.
"""

import codecs
import gzip
import os
import shlex
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading.file_kinds import check_kind

MOST_BYTES = 2 * 2**30
"""Largest file of training text; it is read and tokenised as a whole."""

GZIP = b"\x1f\x8b"

PIECE = 2**20
"""Bytes unpacked at a time."""

MARK = "\ufeff"
"""Byte order mark: some editors begin a file with it, and files put together keep theirs."""


def read_text_file(field: str, path: Path) -> str:
    """Read the whole of ``path``; errors name ``field`` and carry nothing of the content.

    Raises:
        InvalidInput: It is not UTF-8, or damaged.
        CannotOpen: This machine cannot read it, it is a device, a pipe or a directory, or it is
            larger than ``MOST_BYTES``, once unpacked.
    """
    with opened(field, path) as file:
        content = b"".join(unpacked(field, path, file))
    return decode(field, path, content)


def unpacked(field: str, path: Path, file: BufferedReader) -> Iterator[bytes]:
    """Yield the content of ``file`` in pieces, unpacked where it is packed by gzip.

    Raises:
        InvalidInput: The packing is damaged.
        CannotOpen: More than ``MOST_BYTES`` came out.
    """
    if not _is_packed(file):
        yield file.read()
        return
    size = 0
    for piece in _pieces(field, path, file):
        size += len(piece)
        if size > MOST_BYTES:
            problem = f"unpacks to more than the {MOST_BYTES:,} bytes that are read"
            raise CannotOpen(field, str(path), problem, fix="give a part of it")
        yield piece


def beginning(field: str, path: Path, file: BufferedReader, most: int) -> bytes:
    """Return the first ``most`` bytes of what ``unpacked`` yields; raises what it does."""
    if not _is_packed(file):
        return file.read(most)
    found = b""
    for piece in _pieces(field, path, file):
        found += piece
        if len(found) >= most:
            break
    return found[:most]


def holds_at_most(field: str, path: Path, most: int) -> bool:
    """Whether ``unpacked`` yields no more than ``most`` bytes; raises what it does."""
    with opened(field, path) as file:
        if not _is_packed(file):
            return os.fstat(file.fileno()).st_size <= most
        size = 0
        for piece in unpacked(field, path, file):
            size += len(piece)
            if size > most:
                return False
    return True


def _is_packed(file: BufferedReader) -> bool:
    return file.peek(len(GZIP)).startswith(GZIP)


def _pieces(field: str, path: Path, file: BufferedReader) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            while piece := packed.read(PIECE):
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        fix = f"copy it from its source again; gzip -t {shlex.quote(path.name)} tests it"
        problem = f"is damaged where it is packed by gzip ({type(error).__name__})"
        raise InvalidInput(field, str(path), problem, fix=fix) from None


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
