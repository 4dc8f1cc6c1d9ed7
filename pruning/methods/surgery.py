"""Surgery: removing heads and channels from a decoder block, and blocks from a model."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import (
    block_config,
    blocks_of,
    decoder_of,
    matrix_of,
    read_block,
    replace_matrix,
)
from pruning.container.structure import BlockStructure
from rankspace.errors import InvalidInput
from tuning.factored.linear import FactoredLinear


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of one block, as rising indices into what it has.

    Attributes:
        heads: Query heads; every kept key/value head keeps equally many of its own.
        kv_heads: Key/value heads; query head ``i`` belongs to ``i // (heads // kv_heads)``.
        channels: Feed-forward channels.
    """

    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    channels: tuple[int, ...]


def whole_groups(block: BlockStructure, kv_heads: Sequence[int], channels: Sequence[int]) -> Kept:
    """Keep these key/value heads, each with all its query heads, and these channels."""
    share = block.heads // block.kv_heads
    heads = tuple(kv * share + offset for kv in kv_heads for offset in range(share))
    return Kept(heads, tuple(kv_heads), tuple(channels))


def shrink(model: PreTrainedModel, index: int, kept: Kept) -> None:
    """Remove from block ``index``, in place, all that is not in ``kept``.

    The width of a head and of the residual stream stay. The block computes what it computed
    before with the outputs of the removed heads and channels set to zero.

    Raises:
        InvalidInput: Indices out of range or not rising, groups of unequal size, heads that are
            normalised together, or a block without attention or MLP.
    """
    layer = blocks_of(model)[index]
    before = read_block(layer, index)
    _check(before, kept, index)
    _check_norms(layer, before, kept)
    queries = _features(kept.heads, before.head_dim)
    keys = _features(kept.kv_heads, before.head_dim)
    channels = torch.tensor(kept.channels)
    for kind, rows in {"q_proj": queries, "k_proj": keys, "v_proj": keys}.items():
        _keep_rows(layer, kind, rows)
    for kind in ("gate_proj", "up_proj"):
        _keep_rows(layer, kind, channels)
    _keep_columns(layer, "o_proj", queries)
    _keep_columns(layer, "down_proj", channels)
    _set_sizes(layer, model, read_block(layer, index))


def add_to_bias(model: PreTrainedModel, index: int, kind: str, offset: torch.Tensor) -> None:
    """Let matrix ``kind`` of block ``index`` add ``offset``, ``(d_out,)``, to what it writes.

    A matrix without a bias gets one, which no config says and a container keeps.
    """
    layer = blocks_of(model)[index]
    matrix = matrix_of(layer, kind)
    bias = offset if matrix.bias is None else matrix.bias.to(offset.dtype) + offset
    replace_matrix(layer, kind, _linear(matrix.weight, bias.to(matrix.weight)))


@torch.no_grad()
def add_product(
    model: PreTrainedModel,
    index: int,
    kind: str,
    matrices: tuple[torch.Tensor, torch.Tensor],
    scale: float,
) -> None:
    """Let the weight of matrix ``kind`` of block ``index`` gain ``scale * B A``, in place.

    Added up in float32 and rounded once.

    Args:
        model: What it is a part of.
        index: Of the block.
        kind: Of the matrix.
        matrices: A ``(r, d_in)`` and B ``(d_out, r)``, float32.
        scale: Of their product.
    """
    weight, (down, up) = matrix_of(blocks_of(model)[index], kind).weight, matrices
    weight.copy_(torch.addmm(weight.float(), up, down, alpha=scale))


def put_factors(
    model: PreTrainedModel, index: int, kind: str, left: torch.Tensor, right: torch.Tensor
) -> None:
    """Let ``left right`` take the place of matrix ``kind`` of block ``index``; a bias stays."""
    layer = blocks_of(model)[index]
    replace_matrix(layer, kind, FactoredLinear(left, right, matrix_of(layer, kind).bias))


def drop_blocks(model: PreTrainedModel, indices: Collection[int]) -> None:
    """Take blocks out of ``model``, in place; the others are counted anew, in the cache, too.

    Raises:
        InvalidInput: No block would be left, or there is none of an index.
    """
    decoder = decoder_of(model)
    count = len(decoder.layers)
    left = [index for index in range(count) if index not in indices]
    if not left or not set(indices) <= set(range(count)):
        fix = f"drop some of 0 to {count - 1}, not all"
        raise InvalidInput("indices", sorted(indices), "cannot be dropped", fix=fix)
    decoder.layers = nn.ModuleList(decoder.layers[index] for index in left)
    for place, layer in enumerate(decoder.layers):
        for part in (layer, layer.self_attn):
            if hasattr(part, "layer_idx"):
                part.layer_idx = place
    types = getattr(model.config, "layer_types", None)
    if types is not None:  # which blocks have a sliding window goes by place
        model.config.layer_types = [types[index] for index in left]
    model.config.num_hidden_layers = len(left)


def _check(block: BlockStructure, kept: Kept, index: int) -> None:
    if block.lacks is not None:
        problem, fix = f"has no {block.lacks} any more", "shrink another block"
        raise InvalidInput("index", index, problem, fix=fix)
    limits = {"heads": block.heads, "kv_heads": block.kv_heads, "channels": block.ffn}
    for name, limit in limits.items():
        indices = getattr(kept, name)
        if not indices or list(indices) != sorted({i for i in indices if 0 <= i < limit}):
            fix = f"give at least one of 0 to {limit - 1}, rising"
            raise InvalidInput(f"kept.{name}", indices, "cannot be kept", fix=fix)
    share = block.heads // block.kv_heads
    groups = Counter(head // share for head in kept.heads)
    if set(groups) != set(kept.kv_heads) or len(set(groups.values())) != 1:
        raise InvalidInput(
            "kept.heads",
            kept.heads,
            f"are not equally many of each key/value head in {list(kept.kv_heads)}",
            fix="keep whole groups, or the same number of query heads in each",
        )


def _check_norms(layer: nn.Module, block: BlockStructure, kept: Kept) -> None:
    """OLMo-2 normalises queries over all heads: without one of them the others are scaled anew."""
    norm = getattr(layer.self_attn, "q_norm", None)
    is_joint = norm is not None and norm.weight.numel() != block.head_dim
    if is_joint and len(kept.heads) != block.heads:
        raise InvalidInput(
            "kept.heads",
            kept.heads,
            "leaves heads out whose norm is over all of them together: the others would be scaled "
            "anew",
            fix="keep all heads of this family; its channels can be pruned",
        )


def _features(heads: Sequence[int], head_dim: int) -> torch.Tensor:
    """Return the feature indices of ``heads``, ``(len(heads) * head_dim,)``."""
    return (torch.tensor(heads)[:, None] * head_dim + torch.arange(head_dim)).flatten()


def _keep_rows(layer: nn.Module, kind: str, rows: torch.Tensor) -> None:
    matrix = matrix_of(layer, kind)
    rows = rows.to(matrix.weight.device)
    bias = None if matrix.bias is None else matrix.bias[rows]
    replace_matrix(layer, kind, _linear(matrix.weight[rows], bias))


def _keep_columns(layer: nn.Module, kind: str, columns: torch.Tensor) -> None:
    matrix = matrix_of(layer, kind)
    columns = columns.to(matrix.weight.device)
    replace_matrix(layer, kind, _linear(matrix.weight[:, columns], matrix.bias))


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    d_out, d_in = weight.shape
    matrix = nn.Linear(d_in, d_out, bias=bias is not None, device="meta")
    matrix.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    if bias is not None:
        matrix.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return matrix


def _set_sizes(layer: nn.Module, model: PreTrainedModel, block: BlockStructure) -> None:
    config = block_config(model.config, block)
    for part in (layer.self_attn, layer.mlp):
        setattr(part, "config", config)  # noqa: B010 - torch types attributes as modules
    setattr(layer.self_attn, "num_key_value_groups", block.heads // block.kv_heads)  # noqa: B010
    setattr(layer.mlp, "intermediate_size", block.ffn)  # noqa: B010
