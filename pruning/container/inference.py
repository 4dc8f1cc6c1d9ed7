"""The structure of a model that brings no ``pruned.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pruning.container.architecture import Architecture
from pruning.container.header import TensorHeader
from pruning.container.structure import (
    ATTENTION,
    MLP,
    MODULES,
    BlockStructure,
    Structure,
    matrix_name,
)
from pruning.container.translation import Translation
from rankspace.errors import InvalidContainer

Tensors = Mapping[str, TensorHeader]


def uniform_structure(architecture: Architecture, original: Sequence[int]) -> Structure:
    """Give every block the sizes of the config; ``original``: its index in the dense model."""
    return Structure(tuple(replace(architecture.dense, original_index=i) for i in original))


def infer_structure(
    architecture: Architecture,
    tensors: Tensors,
    original: Sequence[int],
    translation: Translation,
) -> Structure:
    """Read the sizes of every block off its tensors; heads have the config's width.

    That half of a block is gone is believed of a tool that says so, never of tensors alone, which
    may be missing.

    Raises:
        InvalidContainer: A matrix is missing, not a whole number of heads wide, or wider than
            pruning leaves it, where nothing but the config's other sizes says how wide a head is;
            or one is there of what was removed.
    """
    blocks = []
    for place, index in enumerate(original):
        names = {kind: matrix_name(place, kind) for kind in MODULES}
        has_attention = index not in translation.without_attention
        has_mlp = index not in translation.without_mlp
        _check_removed(tensors, [names[kind] for kind in ATTENTION if not has_attention])
        _check_removed(tensors, [names[kind] for kind in MLP if not has_mlp])
        heads, kv_heads = _attention(architecture, tensors, names) if has_attention else (0, 0)
        block = BlockStructure(
            heads=heads,
            kv_heads=kv_heads,
            head_dim=architecture.dense.head_dim,
            ffn=_rows(tensors, f"{names['gate_proj']}.weight") if has_mlp else 0,
            biases=tuple(kind for kind in MODULES if f"{names[kind]}.bias" in tensors),
            original_index=index,
        )
        blocks.append(block)
    return Structure(tuple(blocks))


def _attention(
    architecture: Architecture, tensors: Tensors, names: Mapping[str, str]
) -> tuple[int, int]:
    """Return the query and the key/value heads of a block."""
    dense = architecture.dense
    queries, keys = (f"{names[kind]}.weight" for kind in ("q_proj", "k_proj"))
    heads, kv_heads = (_heads(tensors, name, dense.head_dim) for name in (queries, keys))
    if architecture.config.get("head_dim") is None:
        _check_guess(queries, heads, dense.heads, dense.head_dim)
        _check_guess(keys, kv_heads, dense.kv_heads, dense.head_dim)
    return heads, kv_heads


def _check_removed(tensors: Tensors, names: Sequence[str]) -> None:
    for name in names:
        for tensor in (f"{name}.weight", f"{name}.bias"):
            if tensor in tensors:
                raise InvalidContainer(
                    tensor,
                    list(tensors[tensor].shape),
                    "is stored, but what is said of the pruning counts it as removed",
                    fix="give the files that were saved with these weights",
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
            fix="save all matrices of every block. Where attention or an MLP was removed whole, a "
            "file has to say so: MultiPruner's pruning_config.json, or block_configs with no_op",
        )
    return header.shape[0]
