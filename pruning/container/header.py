"""The header of a safetensors file, read and checked without torch and without the tensors.

Format: 8 bytes header length (little endian), the header as JSON, then the tensors' bytes.
Stricter than the safetensors library, which lets the last of two equal keys win.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pruning.container.document import MAX_BYTES, parse_document
from rankspace.errors import InvalidContainer

ITEM_BYTES: Mapping[str, int] = MappingProxyType({"F64": 8, "F32": 4, "F16": 2, "BF16": 2})
"""Element types a model may have, and their width in bytes."""
MAX_SIDES = 8
MAX_SIDE = 2**31
"""Larger shapes are refused before they are multiplied; no model has a longer side."""


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor: element type, shape, and its place ``[begin, end)`` behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> Mapping[str, TensorHeader]:
    """Read name and header of every tensor in ``path``.

    Raises:
        InvalidContainer: Truncated, oversized, or the tensors leave gaps or overlap.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MAX_BYTES, size - 8):
            raise _broken(path.name, f"header of {length:,} bytes", f"the file has {size:,} bytes")
        document = parse_document(f"header of {path.name}", file.read(length))
    document.pop("__metadata__", None)
    tensors = {name: _tensor(path.name, name, entry) for name, entry in document.items()}
    _check_extents(path.name, tensors, size - 8 - length)
    return tensors


def _tensor(file: str, name: str, entry: Any) -> TensorHeader:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            if all(type(side) is int and side >= 0 for side in shape):
                if len(shape) > MAX_SIDES or max(shape, default=0) > MAX_SIDE:
                    problem = f"may have at most {MAX_SIDES} sides of at most {MAX_SIDE:,}"
                    raise _broken(f"{file}: {name}", f"a shape of {len(shape)} sides", problem)
                header = TensorHeader(dtype, tuple(shape), begin, end)
                _check_tensor(f"{file}: {name}", header)
                return header
    raise _broken(f"{file}: {name}", entry, "needs dtype, shape and data_offsets")


def _check_tensor(field: str, header: TensorHeader) -> None:
    if header.dtype not in ITEM_BYTES:
        raise InvalidContainer(
            field,
            header.dtype,
            "is not an element type a model may have",
            fix=f"save the weights as one of {sorted(ITEM_BYTES)}; quantised files cannot be used",
        )
    needed = header.elements * ITEM_BYTES[header.dtype]
    if header.end - header.begin != needed:
        found = header.end - header.begin
        raise _broken(field, found, f"shape {list(header.shape)} needs {needed:,} bytes")


def _check_extents(file: str, tensors: Mapping[str, TensorHeader], total: int) -> None:
    position = 0
    for name, header in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if header.begin != position:
            raise _broken(f"{file}: {name}", header.begin, f"should begin at byte {position:,}")
        position = header.end
    if position != total:
        raise _broken(file, f"{total:,} bytes of tensors", f"the header promises {position:,}")


def _broken(field: str, value: Any, problem: str) -> InvalidContainer:
    fix = "the file is damaged or incomplete: copy it from its source again"
    return InvalidContainer(field, value, problem, fix=fix)
