"""Change: what a method found to remove, and its removal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from transformers import PreTrainedModel

from pruning.methods.surgery import (
    Kept,
    add_product,
    add_to_bias,
    drop_blocks,
    put_factors,
    shrink,
)

Offsets: TypeAlias = Mapping[tuple[int, str], torch.Tensor]
"""By block and kind (``o_proj``, ``down_proj``): what its bias gains, ``(hidden,)``."""

Pair: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Left ``(d_out, rank)`` and right ``(rank, d_in)``, whose product takes a matrix's place."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a method that trains found beside what is removed.

    Attributes:
        products: By block and kind, A ``(r, d_in)`` and B ``(d_out, r)``, in float32: each weight
            gains ``scale * B A`` before anything is removed.
        scale: Of the products.
        account: How the training went, for a container to keep.
    """

    products: Mapping[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]
    scale: float
    account: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Heads and channels removed from blocks that stay, and what matrices are factored.

    Attributes:
        kept: What stays of each block that is cut.
        offsets: What the outputs of the rest come to on the average, for the biases to add.
        learned: What the weights gain before, of methods that train.
        factors: By block and kind, of matrices that lose no rows or columns.
    """

    kept: Mapping[int, Kept]
    offsets: Offsets = field(default_factory=dict)
    learned: Learned | None = None
    factors: Mapping[tuple[int, str], Pair] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """Whole blocks removed.

    Attributes:
        blocks: Their indices, rising.
    """

    blocks: tuple[int, ...]


Change: TypeAlias = Cut | Drop


def apply(model: PreTrainedModel, change: Change) -> None:
    """Remove from ``model``, in place, what ``change`` says."""
    if isinstance(change, Drop):
        drop_blocks(model, change.blocks)
        return
    if change.learned is not None:
        for (index, kind), (down, up) in change.learned.products.items():
            add_product(model, index, kind, (down, up), change.learned.scale)
    for index, kept in change.kept.items():
        shrink(model, index, kept)
    for (index, kind), offset in change.offsets.items():
        add_to_bias(model, index, kind, offset)
    for (index, kind), pair in change.factors.items():
        put_factors(model, index, kind, *pair)


def blocks_left(change: Change, count: int) -> tuple[int, ...]:
    """Return the indices, of ``count`` blocks, of those that ``change`` does not drop."""
    dropped = change.blocks if isinstance(change, Drop) else ()
    return tuple(index for index in range(count) if index not in dropped)
