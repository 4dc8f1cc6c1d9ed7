"""Reading a pickled module as data: no class or function that the pickle names is ever called.

A pickle is a program: it names functions and calls them. Here every name stands for a class of
ours that keeps what it is given and does nothing, but for the few functions with which torch
rebuilds tensors. The program is run by torch's reader of ``weights_only``, which knows no other
names, imports nothing and lets no instruction reach attributes of what it has made.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rankspace.errors import InvalidContainer

PACKAGES = frozenset({"torch", "transformers", "tokenizers", "accelerate", "LLMPruner"})
"""Whose classes a pickled model consists of; any other name is refused before a byte is read."""


class Inert:
    """Stands for an object of a class that is not looked for: its attributes, and no methods."""

    def __new__(cls, *_arguments: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        self.__dict__["arguments"] = arguments

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict) and all(isinstance(key, str) for key in state):
            self.__dict__.update(state)
        else:
            self.__dict__["state"] = state


def read_inert(path: Path) -> Any:
    """Read a file of ``torch.save``, the weights mapped from it.

    Raises:
        InvalidContainer: It names what no model consists of, or is no file of ``torch.save``.
    """
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception as error:  # noqa: BLE001 - zip, pickle and torch each fail in their own way
        raise _unread(path, error) from None
    for name in names:
        if name.partition(".")[0] not in PACKAGES:
            raise InvalidContainer(
                path.name,
                name,
                "is called in it, which no model needs: it was not read",
                fix="do not open this file; ask whoever made it for safetensors",
            )
    stand_ins = [(type(name.rpartition(".")[2], (Inert,), {}), name) for name in names]
    with torch.serialization.safe_globals(list(stand_ins)):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # noqa: BLE001 - likewise
            raise _unread(path, error) from None


def parameters(module: Inert, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the parameters of a module and of all below it by name, as ``named_parameters``."""
    own: Any = module.__dict__.get("_parameters") or {}
    for name, value in own.items():
        if isinstance(value, torch.Tensor):
            yield prefix + name, value
    below: Any = module.__dict__.get("_modules") or {}
    for name, child in below.items():
        if isinstance(child, Inert):
            yield from parameters(child, f"{prefix}{name}.")


def _unread(path: Path, error: Exception) -> InvalidContainer:
    fix = "load it where you trust it, and call model.save_pretrained(DIRECTORY)"
    problem = f"cannot be read as data: {' '.join(str(error).split())[:200]}"
    return InvalidContainer(path.name, type(error).__name__, problem, fix=fix)
