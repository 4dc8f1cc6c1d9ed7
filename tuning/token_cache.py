"""TokenCache: readings on disk, so that a file is tokenised once and its tokens are mapped.

A folder for each, named by all that its examples hang on: flat arrays as NumPy writes them, without
pickles, mapped into memory, and a document with their hashes and its own, by which damage is
noticed. Folders appear in their place whole; of several programs that write one, the first is kept.
Hashes keep nobody out who can write there: a directory that others can write to is not used.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tuning.examples import DIGEST_BYTES, Example, Reading

VERSION = 2
"""Of the layout on disk."""

MOST_BYTES = 8 * 2**30
"""Of all readings together: those not used for the longest time make room."""

DOCUMENT = "reading.json"
NEW = "new-"
"""How folders begin that are still being written."""

ABANDONED = 24 * 3600.0
"""Seconds after which nobody writes one any more: its worker was killed."""

_Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_TYPES = {"tokens": "<i4", "ends": "<i8", "prompts": "<i4", "said": "|u1", "passed": "<i8"}
"""Array by name: all tokens; where in them each example ends; its prompt; its digest, ``(n, 16)``;
and spans that are only read, ``(m, 3)``: which example, first token, end."""

_NAME = re.compile(r"[0-9a-f]{64}")

_COUNTS = ("rows", "cut", "row_tokens", "shape", "empty", "control")


@dataclass(frozen=True, slots=True)
class TokenCache:
    """Readings below one directory of this user's.

    Attributes:
        directory: Made where it is not there.
        most_bytes: What is kept at most.
        told: Hears why a reading is not kept, or none is looked for; it is used all the same.
    """

    directory: Path
    most_bytes: int = MOST_BYTES
    told: Callable[[OSError], object] = lambda _: None

    def reading(self, key: str, make: Callable[[], Reading], is_of: Callable[[], bool]) -> Reading:
        """Return the reading of ``key``, as it is kept, or as ``make`` makes it.

        Args:
            key: See ``key_of``.
            make: Tokenises; what it raises is raised.
            is_of: Whether what was made just now is what ``key`` names, or else is not kept.
        """
        try:
            _check_owner(self.directory)
        except OSError as error:
            self.told(error)
            return make()
        kept = _load(self.directory / key)
        if kept is not None:
            _use(self.directory / key)
            return kept
        made = make()
        return self._kept(key, made) if is_of() else made

    def _kept(self, key: str, made: Reading) -> Reading:
        folder = self.directory / key
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=self.directory, prefix=NEW) as new:
                _store(made, Path(new) / key)
                _put(Path(new) / key, folder, Path(new) / "damaged")
            self._clear_away()
            self._make_room(folder)
        except OSError as error:
            self.told(error)
        return _load(folder) or made

    def _clear_away(self) -> None:
        for folder in self.directory.glob(f"{NEW}*"):
            if 0 < _last_used(folder) < time.time() - ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)

    def _make_room(self, mine: Path) -> None:
        """Take away what is beyond the limit, and of it only what was put here by this class."""
        left = self.most_bytes
        ours = (folder for folder in self.directory.iterdir() if _NAME.fullmatch(folder.name))
        for folder in sorted(ours, key=_last_used, reverse=True):
            left -= sum(map(_size, [folder / f"{name}.npy" for name in _TYPES]))
            if left < 0 and folder != mine:
                shutil.rmtree(folder, ignore_errors=True)


def key_of(**parts: Any) -> str:
    """Name all that a reading hangs on; equal parts have equal names on every machine."""
    return _hash_of({"version": VERSION, **parts})


def _check_owner(directory: Path) -> None:
    """Refuse what somebody else could have put there; what does not exist yet is made private."""
    with contextlib.suppress(FileNotFoundError):
        found = directory.stat()
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            problem = "belongs to another user, or others may write there (chmod go-w)"
            raise PermissionError(errno.EACCES, problem, str(directory))


def _use(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another program has taken it away, or it is another's
        os.utime(folder)


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another program has taken it away
        return 0.0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # likewise
        return 0


def _put(new: Path, place: Path, aside: Path) -> None:
    """Move a folder into its place; what lies there is damaged, or another program's."""
    try:
        new.rename(place)
    except OSError:
        if _load(place) is None:
            place.rename(aside)
            new.rename(place)


def _store(reading: Reading, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    hashes = {}
    for name, array in _arrays(reading).items():
        path = folder / f"{name}.npy"
        np.save(path, array.astype(_TYPES[name]), allow_pickle=False)
        hashes[name] = _hash(path)
    counts = {name: getattr(reading, name) for name in _COUNTS}
    told = {"key": folder.name, "counts": counts, "sha256": hashes}
    document = json.dumps({"told": told, "sha256": _hash_of(told)})
    (folder / DOCUMENT).write_text(document, encoding="utf-8")


def _arrays(reading: Reading) -> _Arrays:
    examples = reading.examples
    tokens = [example.tokens.numpy() for example in examples]
    spans = [(at, *span) for at, one in enumerate(examples) for span in one.passed]
    digests = b"".join(one.said.ljust(DIGEST_BYTES, b"\0") for one in examples)
    return {
        "tokens": np.concatenate(tokens) if tokens else np.empty(0),
        "ends": np.fromiter(accumulate(map(len, tokens)), dtype=np.int64),
        "prompts": np.array([one.prompt for one in examples]),
        "said": np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES),
        "passed": np.array(spans).reshape(-1, 3),
    }


def _load(folder: Path) -> Reading | None:
    """Read what was stored; None where there is nothing, or it is damaged, or of another key."""
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        told = document["told"]
        if document["sha256"] != _hash_of(told) or told["key"] != folder.name:
            return None
        hashes, counts = told["sha256"], told["counts"]
        if any(_hash(folder / f"{name}.npy") != hashes[name] for name in _TYPES):
            return None
        # "c": writing would change a copy; torch warns of arrays that cannot be written to.
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in _TYPES
        }
        return Reading(tuple(_examples(arrays)), **{name: counts[name] for name in _COUNTS})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _examples(arrays: _Arrays) -> Iterator[Example]:
    tokens = torch.from_numpy(arrays["tokens"])
    passed: dict[int, list[tuple[int, int]]] = {}
    for at, first, end in arrays["passed"].tolist():
        passed.setdefault(at, []).append((first, end))
    prompts, digests = arrays["prompts"].tolist(), arrays["said"]
    for at, (first, end) in enumerate(pairwise([0, *arrays["ends"].tolist()])):
        said = digests[at].tobytes()
        kept = said if any(said) else b""
        yield Example(tokens[first:end], prompts[at], kept, tuple(passed.get(at, ())))


def _hash_of(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
