"""Translation: what another tool says of its model, in the words of a stock one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from pruning.container.header import TensorHeader
from rankspace.errors import InvalidContainer

QKV, GATE_UP = "qkv_proj", "gate_up_proj"
"""Matrices of Phi-3 that are several of a stock block, one below the other."""

_FUSED = re.compile(rf"(model\.layers\.\d+\.)(self_attn\.{QKV}|mlp\.{GATE_UP})\.weight")
_QKV_PARTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATE_UP_PARTS = ("mlp.gate_proj", "mlp.up_proj")


@dataclass(frozen=True, slots=True)
class Translation:
    """How to read a directory that is not written as transformers would write it.

    Attributes:
        config: Taken for the content of ``config.json``; None takes the file's.
        dropped: Numbers of blocks that the tool skips whole; what is stored of them is not read.
        without_attention: Numbers of blocks whose attention it skips; norms that are stored of it
            are not read.
        without_mlp: Likewise, of the MLP.
        split_from: Class whose fused matrices (``qkv_proj``, ``gate_up_proj``) are split into the
            stock ones; None splits none.
    """

    config: Mapping[str, Any] | None = None
    dropped: frozenset[int] = frozenset()
    without_attention: frozenset[int] = frozenset()
    without_mlp: frozenset[int] = frozenset()
    split_from: str | None = None


AS_IT_IS = Translation()


@dataclass(frozen=True, slots=True)
class FusedPart:
    """One matrix out of a fused one.

    Attributes:
        name: Its stock name.
        begin: Its first row in the fused matrix.
        header: Its shape, and its place in the file, where rows follow each other.
    """

    name: str
    begin: int
    header: TensorHeader


def find_parts(tensors: Mapping[str, TensorHeader]) -> dict[str, tuple[FusedPart, ...]]:
    """Return the parts of every fused matrix by its name, read off the shapes alone.

    A block may have fewer heads than the config says: the columns of its ``o_proj`` are its
    queries, and keys and values share the other rows equally.

    Raises:
        InvalidContainer: The rows cannot be shared so, or a part is stored by itself, too.
    """
    return {
        name: _parts(name, match[1], match[2].endswith(QKV), tensors)
        for name in tensors
        if (match := _FUSED.fullmatch(name))
    }


def split_headers(
    tensors: Mapping[str, TensorHeader], parts: Mapping[str, tuple[FusedPart, ...]]
) -> dict[str, TensorHeader]:
    """Replace every fused matrix by its parts."""
    whole = {name: header for name, header in tensors.items() if name not in parts}
    return whole | {part.name: part.header for split in parts.values() for part in split}


def _parts(
    name: str, block: str, is_qkv: bool, tensors: Mapping[str, TensorHeader]
) -> tuple[FusedPart, ...]:
    rows, width = _sides(name, tensors)
    queries = _sides(f"{block}self_attn.o_proj.weight", tensors)[1] if is_qkv else 0
    half, rest = divmod(rows - queries, 2)
    if rest or half < 1:
        raise _unequal(name, rows, f" beside the {queries} of o_proj's columns" if is_qkv else "")
    kinds = _QKV_PARTS if is_qkv else _GATE_UP_PARTS
    heights = (queries, half, half) if is_qkv else (half, half)
    fused = tensors[name]
    row = (fused.end - fused.begin) // max(rows, 1)
    return tuple(
        FusedPart(
            _unstored(f"{block}{kind}.weight", name, tensors),
            begin,
            TensorHeader(
                fused.dtype,
                (end - begin, width),
                fused.begin + begin * row,
                fused.begin + end * row,
            ),
        )
        for kind, (begin, end) in zip(kinds, pairwise(accumulate(heights, initial=0)), strict=True)
    )


def _sides(name: str, tensors: Mapping[str, TensorHeader]) -> tuple[int, int]:
    header = tensors.get(name)
    if header is None or len(header.shape) != 2:
        raise InvalidContainer(
            name,
            header and list(header.shape),
            f"the weights lack this matrix; without it nothing says where {QKV} is split",
            fix="save all matrices of every block",
        )
    return header.shape[0], header.shape[1]


def _unstored(part: str, fused: str, tensors: Mapping[str, TensorHeader]) -> str:
    if part in tensors:
        raise InvalidContainer(
            part,
            list(tensors[part].shape),
            f"is stored by itself, and within {fused}",
            fix="remove the one that is not of this model",
        )
    return part


def _unequal(name: str, rows: int, beside: str) -> InvalidContainer:
    return InvalidContainer(
        name,
        rows,
        f"rows{beside} cannot be shared by two matrices equally",
        fix="give the weights that were saved together, pruned in whole heads and channels",
    )
