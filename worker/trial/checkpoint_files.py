"""The files of checkpoints in a spool directory: one per trial and lane, and what becomes of them.

A lane is a place on that directory which one worker at a time has, by a lock that ends with its
process. So a worker that comes back under another name has its lane again, and a directory that
workers share has as many lanes as there ever were workers at a time.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

SUFFIX = ".checkpoint"
DRAFT = ".draft"

LEFT = 1
"""Checkpoints that a lane keeps beside that of its trial: of the last one that was left undone. A
worker may be given another trial first when it comes back."""


@dataclass(frozen=True, slots=True)
class Lane:
    """This process's place on a spool directory, for as long as it lives.

    Attributes:
        directory: The spool's.
        name: Of the lane.
    """

    directory: Path
    name: str

    @classmethod
    def take(cls, directory: Path) -> Self:
        """Take the first lane that is free.

        Raises:
            OSError: The directory cannot be written to, or knows no locks.
        """
        return next(
            cls(directory, f"lane-{number}") for number in count() if _locked(directory, number)
        )

    def file(self, study: str, trial: int) -> Path:
        """Where this lane keeps the trial's checkpoint."""
        return self.directory / f"{_key(study, trial)}.{self.name}{SUFFIX}"

    @property
    def draft(self) -> Path:
        """What is being written; what a killed process has left there is overwritten."""
        return self.directory / f"{self.name}{DRAFT}"

    def others(self, study: str, trial: int) -> list[Path]:
        """This lane's checkpoints of other trials, the latest first."""
        mine = self.directory.glob(f"*.{self.name}{SUFFIX}")
        return sorted((path for path in mine if path != self.file(study, trial)), key=_age)

    def bytes_of_others(self, study: str, trial: int) -> int:
        """Room that ``remove_others`` would make."""
        return sum(map(_bytes, self.others(study, trial)))

    def remove_others(self, study: str, trial: int) -> None:
        """Remove this lane's checkpoints of other trials; those of this one stay in every lane."""
        for path in self.others(study, trial):
            _remove(path)

    def tidy(self, study: str, trial: int) -> None:
        """Keep the checkpoint of the trial that was just written, and ``LEFT`` of others."""
        twice = set(files(self.directory, study, trial)) - {self.file(study, trial)}
        for path in (*twice, *self.others(study, trial)[LEFT:]):
            _remove(path)


def files(directory: Path, study: str, trial: int) -> Sequence[Path]:
    """Every lane's checkpoint of a trial, the latest first."""
    key = _key(study, trial)
    found = directory.glob(f"*{SUFFIX}")
    return sorted((path for path in found if path.name.startswith(f"{key}.lane-")), key=_age)


def forget(directory: Path, study: str, trial: int) -> None:
    """Remove a trial's checkpoints: it is over."""
    for path in files(directory, study, trial):
        _remove(path)


def outdated(directory: Path, before: float) -> Iterator[Path]:
    """Remove what was last written ``before``, in seconds since the epoch; yield each."""
    for pattern in (f"*{SUFFIX}", f"lane-*{DRAFT}"):
        for path in directory.glob(pattern):
            with suppress(OSError):  # another worker on this directory was quicker
                if path.lstat().st_mtime < before:
                    path.unlink()
                    yield path


def _locked(directory: Path, number: int) -> bool:
    """Lock a lane until this process ends; false where another process has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(directory / f"lane-{number}.lock", flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    except OSError:
        os.close(handle)
        raise
    return True


def _key(study: str, trial: int) -> str:
    return f"{quote(study, safe='')}-{trial}"


def _age(path: Path) -> float:
    with suppress(OSError):
        return -path.lstat().st_mtime
    return 0.0


def _bytes(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
