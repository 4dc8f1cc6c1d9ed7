"""Downloads of an adapter: a service says which files it has, not where they land or how many."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rankspace import RankVector
from rankspace.errors import InvalidInput, Unreachable, UnsupportedVersion
from rankspace.lease import ADAPTER_FILES
from rankspace.wire import decode, only

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HINT = "is it the right service? Else install the same version of rankadaptor on both sides"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of an export, as the service lists it."""

    name: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if self.name not in ADAPTER_FILES:
            fix = f"known are {', '.join(ADAPTER_FILES)}"
            raise InvalidInput("name", self.name, "is no file of an adapter", fix=fix)
        if self.bytes < 0:
            raise InvalidInput("bytes", self.bytes, "is no size", fix="0 or more")
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidInput("sha256", self.sha256, "is no SHA-256", fix="64 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A downloaded adapter, and what it is of.

    Attributes:
        files: What was downloaded, checked.
        paths: Where they lie.
        rank_vector: Its ranks; None where the service is too old to tell.
        model: Fingerprint of the pruned model; None likewise.
    """

    files: tuple[ListedFile, ...]
    paths: tuple[Path, ...]
    rank_vector: RankVector | None
    model: str | None


def vector_of(answer: Any) -> RankVector | None:
    """Read from the list of an export what it is of.

    Raises:
        UnsupportedVersion: It is no rank vector.
    """
    told = answer.get("rank_vector")
    try:
        return None if told is None else decode(RankVector, told, "rank_vector")
    except InvalidInput as error:
        problem = f"the service's list of files is not taken: {error.detail}"
        raise UnsupportedVersion(problem, hint=_HINT) from error


def model_of(answer: Any) -> str | None:
    """Read from the list of an export the fingerprint of the model it belongs to."""
    told = answer.get("model")
    return told if isinstance(told, str) else None


def listed(answer: Any) -> tuple[ListedFile, ...]:
    """Read the list of an export.

    Raises:
        UnsupportedVersion: It names a file that no adapter has, or one twice, or is no list.
    """
    entries = answer.get("files") if isinstance(answer, dict) else None
    try:
        if not isinstance(entries, list):
            raise InvalidInput("files", entries, "is no list", fix="a list of files")
        files = tuple(
            decode(ListedFile, only(ListedFile, entry), f"files[{index}]")
            for index, entry in enumerate(entries[: len(ADAPTER_FILES) + 1])
        )
        if len({file.name for file in files}) < len(files):
            raise InvalidInput("files", entries, "has a name twice", fix="one of each")
    except InvalidInput as error:
        problem = f"the service's list of files is not taken: {error.detail}"
        raise UnsupportedVersion(problem, hint=_HINT) from error
    return files


@contextmanager
def placed(files: Iterable[ListedFile], directory: Path) -> Iterator[Path]:
    """Yield a folder to write ``files`` to; they move into ``directory`` together, or not at all.

    What is there under their names is replaced, never followed or written through.

    Raises:
        InvalidInput: They cannot be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=directory) as draft:
            yield Path(draft)
            for file in files:
                (Path(draft) / file.name).replace(directory / file.name)
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        fix = "name a directory of your own with room for it"
        raise InvalidInput("to", str(directory), problem, fix=fix) from error


def receive(file: ListedFile, chunks: Iterable[bytes], target: Path) -> None:
    """Write ``chunks`` to ``target``, which must not be there, and check them.

    Raises:
        Unreachable: They are more or fewer bytes than were announced, or others.
    """
    digest, count = hashlib.sha256(), 0
    with target.open("xb") as written:
        for chunk in chunks:
            count += len(chunk)
            if count > file.bytes:
                break
            digest.update(chunk)
            written.write(chunk)
    if count != file.bytes or digest.hexdigest() != file.sha256:
        problem = f"{file.name} is not the {file.bytes:,} bytes that were announced"
        raise Unreachable(problem, hint="export again")
