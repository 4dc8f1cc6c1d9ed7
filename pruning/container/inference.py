"""The structure of a model that brings no ``pruned.json``."""

from collections.abc import Mapping
from dataclasses import replace

from pruning.container.architecture import Architecture
from pruning.container.header import TensorHeader
from pruning.container.structure import MODULES, BlockStructure, Structure, matrix_name
from rankspace.errors import InvalidContainer

Tensors = Mapping[str, TensorHeader]


def uniform_structure(architecture: Architecture) -> Structure:
    """Give every block the sizes of the config."""
    return Structure(
        tuple(replace(architecture.dense, original_index=i) for i in range(architecture.layers))
    )


def infer_structure(architecture: Architecture, tensors: Tensors) -> Structure:
    """Read the sizes of every block off its tensors; heads have the config's width.

    Raises:
        InvalidContainer: A matrix is missing, or not a whole number of heads wide.
    """
    return Structure(
        tuple(_infer_block(architecture, tensors, i) for i in range(architecture.layers))
    )


def _infer_block(architecture: Architecture, tensors: Tensors, index: int) -> BlockStructure:
    head_dim = architecture.dense.head_dim
    names = {kind: matrix_name(index, kind) for kind in MODULES}
    return BlockStructure(
        heads=_heads(tensors, f"{names['q_proj']}.weight", head_dim),
        kv_heads=_heads(tensors, f"{names['k_proj']}.weight", head_dim),
        head_dim=head_dim,
        ffn=_rows(tensors, f"{names['gate_proj']}.weight"),
        biases=tuple(kind for kind in MODULES if f"{names[kind]}.bias" in tensors),
        original_index=index,
    )


def _heads(tensors: Tensors, name: str, head_dim: int) -> int:
    rows = _rows(tensors, name)
    if rows % head_dim:
        raise InvalidContainer(
            name,
            rows,
            f"rows are not a whole number of heads of width {head_dim}",
            fix="prune whole heads, or correct head_dim in config.json",
        )
    return rows // head_dim


def _rows(tensors: Tensors, name: str) -> int:
    header = tensors.get(name)
    if header is None or len(header.shape) != 2:
        raise InvalidContainer(
            name,
            header and list(header.shape),
            "the weights lack this matrix",
            fix="save all layers of the model; a block without attention or MLP is not supported",
        )
    return header.shape[0]
