"""The hash of a file of training text, which is read anew only once the file was written to."""

import hashlib
import os
from pathlib import Path
from typing import TypeAlias

from tuning.reading.text_file import opened

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size, time of the last write, time of the last change of any kind, and which file it is."""


class FileHashes:
    """SHA-256 of files by path, each kept for as long as the file stays as it was."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp, str]] = {}

    def of(self, field: str, path: str) -> str:
        """Return the hash of the file at ``path``, in hexadecimal.

        Raises:
            CannotOpen: As ``opened`` does: what is too large to be read is not hashed either.
        """
        with opened(field, Path(path)) as file:
            # Of before the reading: what is written meanwhile makes it out of date.
            stamp, known = _stamp(os.fstat(file.fileno())), self._known.get(path)
            if known is None or known[0] != stamp:
                known = stamp, hashlib.file_digest(file, "sha256").hexdigest()
                self._known[path] = known
        return known[1]


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
