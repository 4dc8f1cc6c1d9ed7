"""The structure of a model that brings no ``pruned.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pruning.container.architecture import Architecture
from pruning.container.header import TensorHeader
from pruning.container.structure import MODULES, BlockStructure, Structure, matrix_name
from rankspace.errors import InvalidContainer

Tensors = Mapping[str, TensorHeader]


def uniform_structure(architecture: Architecture, original: Sequence[int]) -> Structure:
    """Give every block the sizes of the config; ``original``: its index in the dense model."""
    return Structure(tuple(replace(architecture.dense, original_index=i) for i in original))


def infer_structure(
    architecture: Architecture, tensors: Tensors, original: Sequence[int]
) -> Structure:
    """Read the sizes of every block off its tensors; heads have the config's width.

    Raises:
        InvalidContainer: A matrix is missing, not a whole number of heads wide, or wider than
            pruning leaves it, where nothing but the config's other sizes says how wide a head is.
    """
    return Structure(
        tuple(
            replace(_infer_block(architecture, tensors, place), original_index=index)
            for place, index in enumerate(original)
        )
    )


def _infer_block(architecture: Architecture, tensors: Tensors, index: int) -> BlockStructure:
    dense = architecture.dense
    names = {kind: matrix_name(index, kind) for kind in MODULES}
    queries, keys = (f"{names[kind]}.weight" for kind in ("q_proj", "k_proj"))
    heads, kv_heads = (_heads(tensors, name, dense.head_dim) for name in (queries, keys))
    if architecture.config.get("head_dim") is None:
        _check_guess(queries, heads, dense.heads, dense.head_dim)
        _check_guess(keys, kv_heads, dense.kv_heads, dense.head_dim)
    return BlockStructure(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dense.head_dim,
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


def _check_guess(name: str, heads: int, most: int, head_dim: int) -> None:
    """Pruning takes heads away: more of them than before are narrower than they were."""
    if heads > most:
        rows = heads * head_dim
        raise InvalidContainer(
            "config.json.head_dim",
            None,
            f"is missing; {name} has {rows} rows, which would be {heads} heads of "
            f"hidden_size / num_attention_heads = {head_dim}, more than the {most} of the config",
            fix=f"write the width of a head of the dense model, for example {-(-rows // most)}",
        )


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
