"""The artifact store: files under names made by the server, written whole or not at all."""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from rankspace.errors import InvalidInput, NotFound, Unreachable
from rankspace.lease import ADAPTER_FILES
from service.access.keys import random_text
from service.artifacts.beneath import open_beneath

PART = ".part"
_STUDY = re.compile(r"st_[a-z2-7]{10}")
_CLAIM = re.compile(r"([1-9]\d{0,18})-([1-9]\d{0,18})")


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whose files a folder holds: those of one claim of a trial."""

    study: str
    trial: int
    token: int


class ArtifactStore:
    """Files in ``root/STUDY/TRIAL-TOKEN/NAME``; no part of a path is chosen by a caller.

    Several services may share the root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, study: str, trial: int, token: int, name: str) -> "Upload":
        """Start writing one file; nothing is visible before ``Upload.publish``.

        Raises:
            InvalidInput: A name that is not on the list.
            NotFound: Somebody put a symbolic link into the store.
        """
        target = self._path(study, trial, token, name)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if target.parent.resolve() != self._root.resolve() / target.parent.relative_to(self._root):
            raise NotFound(f"{name} would be stored elsewhere", hint="remove the symbolic link")
        return Upload(target)

    def open(self, study: str, trial: int, token: int, name: str) -> BinaryIO:
        """Open a stored file, never through a symbolic link.

        Raises:
            NotFound: It is not there.
        """
        path = self._path(study, trial, token, name)
        try:
            handle = open_beneath(self._root, path.relative_to(self._root))
        except OSError:
            raise NotFound(f"{name} is not stored", hint="run the recovery again") from None
        return os.fdopen(handle, "rb")

    def sweep(self, silent_seconds: float = 0.0) -> None:
        """Delete what uploads left behind that never finished, and have been silent for so long."""
        latest = time.time() - silent_seconds
        for part in self._root.glob(f"*/*/.*{PART}"):
            with suppress(FileNotFoundError):  # it has just ended
                if part.stat().st_mtime <= latest:
                    part.unlink()

    def claims(self) -> Iterator[Claimed]:
        """Whose files there are; what lies behind a symbolic link is none of ours."""
        for folder in self._root.glob("*/*"):
            found, study = _CLAIM.fullmatch(folder.name), folder.parent
            if found and _STUDY.fullmatch(study.name) and not study.is_symlink():
                yield Claimed(study.name, int(found[1]), int(found[2]))

    def discard(self, claimed: Claimed) -> None:
        """Delete every file of one claim."""
        folder = self._folder(claimed.study) / f"{claimed.trial}-{claimed.token}"
        shutil.rmtree(folder, ignore_errors=True)

    def forget(self, study: str) -> None:
        """Delete every file of ``study``."""
        shutil.rmtree(self._folder(study), ignore_errors=True)

    def _path(self, study: str, trial: int, token: int, name: str) -> Path:
        check_name(name)
        return self._folder(study) / f"{trial}-{token}" / name

    def _folder(self, study: str) -> Path:
        assert _STUDY.fullmatch(study), study
        return self._root / study


class Upload:
    """A file being received: hashed as it comes, renamed into place at the end."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_name(f".{random_text(10)}{PART}")
        self._file = os.fdopen(_create(self._part), "wb")
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.bytes += len(chunk)

    def finish(self, sha256: str) -> None:
        """Make what came durable.

        Raises:
            InvalidInput: The bytes are not the ones that were announced.
        """
        actual = self._hash.hexdigest()
        if actual != sha256:
            problem = f"{self.bytes:,} bytes arrived with SHA-256 {actual}"
            raise InvalidInput("X-Content-SHA256", sha256, problem, fix="upload the file again")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def publish(self) -> None:
        """Make the file visible, in place of an earlier one of its name.

        Raises:
            Unreachable: Somebody has cleared it away meanwhile.
        """
        try:
            self._part.replace(self._target)
        except FileNotFoundError:
            problem = f"{self._target.name} was cleared away while it came"
            raise Unreachable(problem, hint="upload the file again") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        raise _gone(path.name) from None


def _gone(name: str) -> NotFound:
    return NotFound(f"{name} has no study any more", hint="its study was deleted during the upload")


def check_name(name: str) -> None:
    if name not in ADAPTER_FILES:
        raise InvalidInput(
            "name", name, "is not an artifact", fix=f"use one of {list(ADAPTER_FILES)}"
        )
