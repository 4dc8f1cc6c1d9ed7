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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rankspace.errors import InvalidInput
from tuning.checkpoint.state import Moments, TrainingState

FORM = 1
"""Of the file; another one is not read."""

MOST_HEADER = 16 * 2**20
"""Bytes of a header: names and shapes of 30,000 matrices take less."""

_KEY = "checkpoint"
_SIZE_BYTES = 8
"""Of the header's length, in front of it."""

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
        return 12 * numbers + 8 * (self.steps + len(self.shapes)) + MOST_HEADER + _SIZE_BYTES


def write(path: Path, statement: Statement, state: TrainingState, *, draft: Path) -> None:
    """Write ``state`` to ``path`` by way of ``draft``, a file of the same directory.

    Raises:
        OSError: It could not be written; what was at ``path`` is there as before.
    """
    tensors = _tensors(state)
    told = {"form": FORM, "statement": statement, "tokens": state.tokens, "micro": state.micro}
    document = json.dumps({"told": told, "sha256": _hash(told, tensors)})
    draft.unlink(missing_ok=True)
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _save(tensors, draft, {_KEY: document})
        draft.chmod(0o600)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def statement_in(path: Path, bounds: Bounds) -> Statement:
    """Return what the file says it is of, before any of its tensors is read.

    Raises:
        InvalidInput: It is no checkpoint, or none that this user has written.
    """
    return _statement(path, _document(path, bounds))


def read(path: Path, bounds: Bounds) -> TrainingState:
    """Return the state in the file.

    Raises:
        InvalidInput: It is damaged, or not within ``bounds``.
    """
    document = _document(path, bounds)
    try:
        with safe_open(path, framework="pt") as file:
            updates = _counts(path, file, len(bounds.shapes))
            _check_names(path, file, bounds, updates)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error
    told = document["told"]
    if document.get("sha256") != _hash(told, tensors):
        raise _unusable(path, "has not the hash that it states")
    _check_numbers(path, told, tensors, bounds)
    return _state(told, tensors, updates)


def _document(path: Path, bounds: Bounds) -> dict[str, Any]:
    _check_file(path, bounds)
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {}).get(_KEY, "null"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("told"), dict):
        raise _unusable(path, "has no document")
    if document["told"].get("form") != FORM:
        raise _unusable(path, f"has form {document['told'].get('form')!r}, not {FORM}")
    return document


def _check_file(path: Path, bounds: Bounds) -> None:
    """A link, another user's file, or one of another size is not opened by the library."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            is_own = found.st_uid == os.geteuid() and not found.st_mode & 0o077
            if not stat.S_ISREG(found.st_mode) or not is_own:
                raise _unusable(path, "is no file of this user's alone")
            length = int.from_bytes(file.read(_SIZE_BYTES), "little")
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if found.st_size > bounds.bytes or length > min(MOST_HEADER, found.st_size - _SIZE_BYTES):
        problem = f"has {found.st_size:,} bytes and a header of {length:,}"
        raise _unusable(path, problem)


def _statement(path: Path, document: Mapping[str, Any]) -> Statement:
    statement = document["told"].get("statement")
    if not isinstance(statement, dict):
        raise _unusable(path, "does not say what it is of")
    return statement


def _counts(path: Path, file: Any, parameters: int) -> list[int]:
    """How often each parameter was updated."""
    if "updates" not in file.keys():  # noqa: SIM118
        raise _unusable(path, "has no tensor updates")
    _check_shape(path, file, "updates", "I64", (parameters,))
    return [int(count) for count in file.get_tensor("updates").tolist()]


def _check_names(path: Path, file: Any, bounds: Bounds, updates: Sequence[int]) -> None:
    expected = {f"parameter.{at}": shape for at, shape in enumerate(bounds.shapes)}
    for at, shape in enumerate(bounds.shapes):
        if updates[at]:
            expected |= {f"mean.{at}": shape, f"square.{at}": shape}
    names = set(file.keys())
    if names != expected.keys() | {"losses", "updates"}:
        raise _unusable(path, "holds other tensors than this training's")
    for name, shape in expected.items():
        _check_shape(path, file, name, "F32", shape)
    taken = file.get_slice("losses").get_shape()
    if len(taken) != 1 or not 1 <= taken[0] <= bounds.steps:
        raise _unusable(path, f"has losses of shape {taken}, the training {bounds.steps} steps")
    _check_shape(path, file, "losses", "F64", tuple(taken))


def _check_shape(path: Path, file: Any, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    found = file.get_slice(name)
    if found.get_dtype() != dtype or tuple(found.get_shape()) != shape:
        problem = f"has {name} as {found.get_dtype()} of shape {found.get_shape()}"
        raise _unusable(path, f"{problem}, not {dtype} of {list(shape)}")


def _check_numbers(
    path: Path, told: Mapping[str, Any], tensors: Mapping[str, Tensor], bounds: Bounds
) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise _unusable(path, f"has numbers in {name} that are not finite")
        if name.startswith("square.") and bool((tensor < 0).any()):
            raise _unusable(path, f"has negative numbers in {name}")
    taken, updates = len(tensors["losses"]), tensors["updates"]
    if bool((updates < 0).any()) or bool((updates > taken).any()):
        raise _unusable(path, f"has counts of updates that are not 0 to {taken}")
    tokens, micro = told.get("tokens"), told.get("micro")
    if type(tokens) is not int or type(micro) is not int:
        raise _unusable(path, "has counts that are no whole numbers")
    if tokens < 0 or not 1 <= micro <= bounds.micro:
        raise _unusable(path, f"has {tokens} tokens, {micro} of {bounds.micro} examples a pass")


def _state(
    told: Mapping[str, Any], tensors: Mapping[str, Tensor], updates: Sequence[int]
) -> TrainingState:
    return TrainingState(
        parameters=tuple(tensors[f"parameter.{at}"] for at in range(len(updates))),
        moments=tuple(
            Moments(count, tensors[f"mean.{at}"], tensors[f"square.{at}"]) if count else None
            for at, count in enumerate(updates)
        ),
        losses=tuple(tensors["losses"].tolist()),
        tokens=told["tokens"],
        micro=told["micro"],
    )


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """On the host; on a CPU these are the training's own, not copies."""
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


def _hash(told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].numpy().data)
    return found.hexdigest()


def _save(tensors: Mapping[str, Tensor], draft: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(dict(tensors), draft, metadata)
    except (SafetensorError, RuntimeError) as error:  # of a full disk, and what it cannot write
        raise OSError(None, str(error)) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("checkpoint", path.name, problem, fix="none: the trial begins anew")
