"""A checkpoint as a file: safetensors, and in its header a JSON document that says what it is of.

The file is its owner's alone and there completely or not at all. It is read with distrust: its
size, header, names, types and shapes are those of the training at hand before any tensor is read,
and what is read is finite and has the hash that the document states.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import torch
from torch import Tensor

from rankspace.errors import InvalidInput
from tuning.checkpoint import tensors
from tuning.checkpoint.state import Moments, TrainingState
from tuning.checkpoint.tensors import LENGTH_BYTES, MOST_HEADER, Header

FORM = 1
"""Of the file; another one is not read."""

_KEY = "checkpoint"

Statement: TypeAlias = Mapping[str, Any]
"""What determines a training's result, by name, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a state may be, to be one of the training at hand.

    Attributes:
        shapes: Of the parameters, in their order.
        steps: Of the whole training.
        micro: Examples per forward pass that it begins with.
    """

    shapes: tuple[tuple[int, ...], ...]
    steps: int
    micro: int

    @property
    def bytes(self) -> int:
        """Most that a file can take: parameters and two moments each, losses, counts, header."""
        numbers = sum(map(math.prod, self.shapes))
        return 12 * numbers + 8 * (self.steps + len(self.shapes)) + MOST_HEADER + LENGTH_BYTES


def write(path: Path, statement: Statement, state: TrainingState, *, draft: Path) -> None:
    """Write ``state`` to ``path`` by way of ``draft``, a file of the same directory.

    Raises:
        OSError: It could not be written; what was at ``path`` is there as before.
    """
    found = _tensors(state)
    told = {"form": FORM, "statement": statement, "tokens": state.tokens, "micro": state.micro}
    document = json.dumps({"told": told, "sha256": _hash(told, found)})
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            tensors.write(file, found, {_KEY: document})
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, bounds: Bounds, wanted: Statement) -> tuple[Statement, TrainingState | None]:
    """Return what the file says it is of, and its state; None where that is not as ``wanted``.

    It is opened once, and no tensor is read before everything that is said of them is checked.

    Raises:
        InvalidInput: It is no checkpoint, damaged, none that this user alone may have written, or
            as ``wanted`` and yet not within ``bounds``.
    """
    try:
        with _opened(path) as file:
            return _read(path, file, bounds, wanted)
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error


def _opened(path: Path) -> BinaryIO:
    """A link is not followed, a pipe not waited for."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        where = os.fstat(directory)
        if where.st_uid != os.geteuid() or where.st_mode & 0o022:
            raise _unusable(path, "is in a directory that others may write to")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.fdopen(os.open(path.name, flags, dir_fd=directory), "rb")
    finally:
        os.close(directory)


def _read(
    path: Path, file: BinaryIO, bounds: Bounds, wanted: Statement
) -> tuple[Statement, TrainingState | None]:
    header = tensors.read_header(file, _size(path, file, bounds))
    document = _document(path, header)
    told = document["told"]
    if told["statement"] != wanted:
        return told["statement"], None
    _check_header(path, header, bounds)
    found = tensors.read(file, header)
    if document.get("sha256") != _hash(told, found):
        raise _unusable(path, "has not the hash that it states")
    _check_numbers(path, told, found, bounds)
    return told["statement"], _state(told, found)


def _size(path: Path, file: BinaryIO, bounds: Bounds) -> int:
    """Another user's file, or one that is too large, is not read."""
    found = os.fstat(file.fileno())
    is_own = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    if not stat.S_ISREG(found.st_mode) or not is_own:
        raise _unusable(path, "is no file of this user's alone")
    if found.st_size > bounds.bytes:
        raise _unusable(path, f"has {found.st_size:,} bytes, of at most {bounds.bytes:,}")
    return found.st_size


def _document(path: Path, header: Header) -> dict[str, Any]:
    document = json.loads(header.metadata.get(_KEY, "null"))
    if not isinstance(document, dict) or not isinstance(document.get("told"), dict):
        raise _unusable(path, "has no document")
    if document["told"].get("form") != FORM:
        raise _unusable(path, f"has form {document['told'].get('form')!r}, not {FORM}")
    if not isinstance(document["told"].get("statement"), dict):
        raise _unusable(path, "does not say what it is of")
    return document


def _check_header(path: Path, header: Header, bounds: Bounds) -> None:
    expected: dict[str, tuple[str, tuple[int, ...]]] = {"updates": ("I64", (len(bounds.shapes),))}
    for at, shape in enumerate(bounds.shapes):
        expected[f"parameter.{at}"] = ("F32", shape)
        if f"mean.{at}" in header.places:
            expected |= {f"mean.{at}": ("F32", shape), f"square.{at}": ("F32", shape)}
    if header.places.keys() != expected.keys() | {"losses"}:
        raise _unusable(path, "holds other tensors than this training's")
    taken = header.places["losses"].shape
    if len(taken) != 1 or not 1 <= taken[0] <= bounds.steps:
        raise _unusable(path, f"has losses of shape {taken}, the training {bounds.steps} steps")
    for name, (dtype, shape) in (expected | {"losses": ("F64", taken)}).items():
        found = header.places[name]
        if (found.dtype, found.shape) != (dtype, shape):
            problem = f"has {name} as {found.dtype} of shape {list(found.shape)}"
            raise _unusable(path, f"{problem}, not {dtype} of {list(shape)}")


def _check_numbers(
    path: Path, told: Mapping[str, Any], found: Mapping[str, Tensor], bounds: Bounds
) -> None:
    for name, tensor in found.items():
        if not bool(torch.isfinite(tensor).all()):
            raise _unusable(path, f"has numbers in {name} that are not finite")
        if name.startswith("square.") and bool((tensor < 0).any()):
            raise _unusable(path, f"has negative numbers in {name}")
    taken, updates = len(found["losses"]), found["updates"]
    if bool((updates < 0).any()) or bool((updates > taken).any()):
        raise _unusable(path, f"has counts of updates that are not 0 to {taken}")
    if any((count > 0) != (f"mean.{at}" in found) for at, count in enumerate(updates.tolist())):
        raise _unusable(path, "has moments of other parameters than it has updates of")
    tokens, micro = told.get("tokens"), told.get("micro")
    if type(tokens) is not int or type(micro) is not int:
        raise _unusable(path, "has counts that are no whole numbers")
    if tokens < 0 or not 1 <= micro <= bounds.micro:
        raise _unusable(path, f"has {tokens} tokens, {micro} of {bounds.micro} examples a pass")


def _state(told: Mapping[str, Any], found: Mapping[str, Tensor]) -> TrainingState:
    updates = found["updates"].tolist()
    return TrainingState(
        parameters=tuple(found[f"parameter.{at}"] for at in range(len(updates))),
        moments=tuple(
            Moments(count, found[f"mean.{at}"], found[f"square.{at}"]) if count else None
            for at, count in enumerate(updates)
        ),
        losses=tuple(found["losses"].tolist()),
        tokens=told["tokens"],
        micro=told["micro"],
    )


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """On the host, row by row; on a CPU copies only of those that lie otherwise."""
    found = {f"parameter.{at}": one for at, one in enumerate(state.parameters)}
    for at, moments in enumerate(state.moments):
        if moments is not None:
            found |= {f"mean.{at}": moments.mean, f"square.{at}": moments.square}
    updates = [moments.updates if moments else 0 for moments in state.moments]
    counts = {
        "losses": torch.tensor(state.losses, dtype=torch.float64),
        "updates": torch.tensor(updates, dtype=torch.int64),
    }
    return {name: one.detach().cpu().contiguous() for name, one in (found | counts).items()}


def _hash(told: Mapping[str, Any], found: Mapping[str, Tensor]) -> str:
    summed = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(found):
        summed.update(name.encode())
        summed.update(found[name].numpy().data)
    return summed.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("checkpoint", path.name, problem, fix="none: the trial begins anew")
