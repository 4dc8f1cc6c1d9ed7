"""Change: what a method found to remove, and its removal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from transformers import PreTrainedModel

from pruning.methods.surgery import Kept, add_to_bias, drop_blocks, shrink

Offsets: TypeAlias = Mapping[tuple[int, str], torch.Tensor]
"""By block and kind (``o_proj``, ``down_proj``): what its bias gains, ``(hidden,)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Heads and channels removed from blocks that stay.

    Attributes:
        kept: What stays of each block that is cut.
        offsets: What the outputs of the rest come to on the average, for the biases to add.
    """

    kept: Mapping[int, Kept]
    offsets: Offsets = field(default_factory=dict)


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
    for index, kept in change.kept.items():
        shrink(model, index, kept)
    for (index, kind), offset in change.offsets.items():
        add_to_bias(model, index, kind, offset)


def blocks_left(change: Change, count: int) -> tuple[int, ...]:
    """Return the indices, of ``count`` blocks, of those that ``change`` does not drop."""
    dropped = change.blocks if isinstance(change, Drop) else ()
    return tuple(index for index in range(count) if index not in dropped)
