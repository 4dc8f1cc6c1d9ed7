"""KeptAdapters: weights of surveys that were fetched from the service, for the next scores."""

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO, Protocol

from rankspace.errors import TrialFailed
from rankspace.lease import Assignment, KeptAdapter

MOST = 2
"""Files that stay; one is of a study, and a worker is seldom at more than two in turns."""

PART_SECONDS = 24 * 3600.0
"""After which nobody is fetching a part any more."""

ROOM = 1 << 20
"""Bytes to spare beside what is fetched."""


class Fetches(Protocol):
    """What is needed of the service; ``worker.lease.client.LeaseClient`` is one."""

    def fetch(self, lease: Assignment, target: BinaryIO, most: int) -> None: ...


class KeptAdapters:
    """A directory with one file per adapter, named by its hash. Workers may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, lease: Assignment, service: Fetches) -> Path | None:
        """Return the weights that ``lease`` scores on, fetched if need be; None where it has none.

        Raises:
            TrialFailed: What the service sent are not the weights that were ordered, or there is
                no room for them: the study goes on without, so nothing more is given up.
            RankspaceError: The service does not hand them out.
        """
        wanted = lease.survey.adapter if lease.survey else None
        if wanted is None:
            return None
        path = self._directory / f"{wanted.sha256}.safetensors"
        try:
            if not _is_whole(path, wanted):
                self._fetch(path, wanted, lease, service)
            os.utime(path)
            self._tidy()
        except OSError as error:
            problem = f"{self._directory} cannot keep the survey's adapter: {error}"
            raise TrialFailed(problem, hint="make room there") from error
        return path

    def _fetch(self, path: Path, wanted: KeptAdapter, lease: Assignment, service: Fetches) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(self._directory).free < wanted.bytes + ROOM:
            raise OSError(f"it takes {wanted.bytes:,} bytes, and there is less left")
        draft = path.with_suffix(f".{lease.trial_id}-{lease.token}.part")
        try:
            handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w+b") as file:
                service.fetch(lease, file, wanted.bytes)
            if not _is_whole(draft, wanted):
                raise TrialFailed(
                    f"the adapter of trial {wanted.trial} is not the one that was surveyed",
                    hint="look after the artifacts of the service",
                )
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Keep the ``MOST`` used last, and no part that a crash cut off."""
        found = sorted(self._directory.glob("*.safetensors"), key=_used, reverse=True)
        old = time.time() - PART_SECONDS
        parts = [part for part in self._directory.glob("*.part") if _used(part) < old]
        for path in (*found[MOST:], *parts):
            path.unlink(missing_ok=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another worker on this directory was quicker
        return 0.0


def _is_whole(path: Path, wanted: KeptAdapter) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != wanted.bytes:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256
    except FileNotFoundError:
        return False
