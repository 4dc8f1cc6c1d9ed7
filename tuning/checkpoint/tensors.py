"""Named tensors in safetensors' form, written to and read from a file that is open already.

The library writes to a temporary file of its own, which a killed process leaves behind, and opens
what it reads by name, so that another file may be there by then. The form is simple: eight bytes
with the header's length, the header as JSON, the tensors' bytes one after another
(https://github.com/huggingface/safetensors, "Format").
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

MOST_HEADER = 16 * 2**20
"""Bytes of a header: names and shapes of 30,000 matrices take less."""

LENGTH_BYTES = 8
"""Of the header's length, in front of it."""

_TYPES = {"F64": torch.float64, "I64": torch.int64, "F32": torch.float32}
"""By descending size, so that each number lies at a multiple of its own."""

_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class Place:
    """Of one tensor in a file.

    Attributes:
        dtype: As safetensors names it.
        shape: Of the tensor.
        begin: Its first byte, counted from the header's end.
        end: The byte after its last.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @classmethod
    def of(cls, entry: Any) -> Self:
        """Read an entry of a header.

        Raises:
            ValueError: It is none, or its bytes are not those of such a tensor.
        """
        try:
            dtype, shape, (begin, end) = (
                entry["dtype"],
                tuple(entry["shape"]),
                entry["data_offsets"],
            )
            size = _TYPES[dtype].itemsize
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"an entry of its header is {str(entry)[:80]}") from error
        numbers = (*shape, begin, end)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError(f"its header counts {numbers}")
        if end - begin != size * math.prod(shape):
            raise ValueError(f"{end - begin} bytes are no {dtype} of {list(shape)}")
        return cls(dtype, shape, begin, end)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says before its tensors.

    Attributes:
        metadata: Texts by name.
        places: Where each tensor is, by name.
    """

    metadata: Mapping[str, str]
    places: Mapping[str, Place]


def write(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous tensors of the host to ``file``, which is at its start.

    Raises:
        OSError: It could not be written, or the header would be longer than ``MOST_HEADER``.
    """
    order = list(_NAMES)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    begin = 0
    for name in names:
        one = tensors[name]
        end = begin + one.nbytes
        place = {"dtype": _NAMES[one.dtype], "shape": list(one.shape), "data_offsets": [begin, end]}
        header[name], begin = place, end
    content = json.dumps(header).encode()
    content += b" " * (-len(content) % LENGTH_BYTES)
    if len(content) > MOST_HEADER:
        problem = f"its header would take {len(content):,} bytes, at most {MOST_HEADER:,} are read"
        raise OSError(None, problem)
    file.write(len(content).to_bytes(LENGTH_BYTES, "little") + content)
    for name in names:
        file.write(tensors[name].numpy().data)


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of ``file``, which has ``size`` bytes and is at its start.

    Raises:
        ValueError: It is no such file, or its tensors are not one after another up to its end.
        OSError: It cannot be read.
    """
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if size < LENGTH_BYTES or length > min(MOST_HEADER, size - LENGTH_BYTES):
        raise ValueError(f"it has {size:,} bytes and a header of {length:,}")
    header = json.loads(file.read(length))
    metadata = header.pop(_METADATA, {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(one, str) for one in metadata.values()):
        raise ValueError("its header is no object, or its metadata no texts")
    places = {name: Place.of(entry) for name, entry in header.items()}
    spans = sorted((place.begin, place.end) for place in places.values())
    whole = size - LENGTH_BYTES - length
    edges = [(0, 0), *spans, (whole, whole)]
    if any(before[1] != after[0] for before, after in pairwise(edges)):
        raise ValueError(f"its tensors do not fill its {whole:,} bytes")
    return Header(metadata, places)


def read(file: BinaryIO, header: Header) -> dict[str, Tensor]:
    """Read all tensors of ``file``, which is at its header's end.

    Raises:
        ValueError: It ends before they do.
        OSError: It cannot be read.
    """
    found = {}
    for name, place in sorted(header.places.items(), key=lambda item: item[1].begin):
        found[name] = torch.empty(place.shape, dtype=_TYPES[place.dtype])
        _fill(file, found[name].reshape(-1).view(torch.uint8).numpy().data)
    return found


def _fill(file: BinaryIO, place: memoryview) -> None:
    done = 0
    while done < len(place):
        count = file.readinto(place[done:])  # type: ignore[attr-defined]  # of a buffered reader
        if not count:
            raise ValueError("it ended while it was read")
        done += count
