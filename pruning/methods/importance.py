"""Importance of the structures of a block that can only be removed together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of
from pruning.methods.dimensions import Dimensions
from pruning.methods.plan import Plan
from pruning.progress import OnProgress

ROWS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
"""Matrices that lose rows; ``o_proj`` and ``down_proj`` lose columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """Scores of one block; the lowest are removed first.

    Attributes:
        kv_heads: One per key/value head with all its query heads, ``(kv_heads,)``.
        channels: One per feed-forward channel, ``(ffn,)``.
    """

    kv_heads: torch.Tensor
    channels: torch.Tensor


class Pruner(Protocol):
    """Scores the chosen blocks of a model and leaves the model as it was."""

    def memory(self, dimensions: Dimensions) -> int:
        """Return about how many bytes it takes besides the weights."""
        ...

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, Importance]:
        """Return an ``Importance`` for each of ``plan.blocks``."""
        ...


def chosen_matrices(model: PreTrainedModel, plan: Plan) -> dict[tuple[int, str], nn.Linear]:
    """Return the matrices of the chosen blocks by block and kind."""
    layers = blocks_of(model)
    return {
        (index, kind): matrix_of(layers[index], kind)
        for index in plan.blocks
        for kind in kinds_of(layers[index])
    }


def feature_axis(kind: str) -> int:
    """Return the axis of a weight ``(d_out, d_in)`` that is summed out to score its features."""
    return 1 if kind in ROWS else 0


def couple(scores: Mapping[str, torch.Tensor], kv_heads: int) -> Importance:
    """Sum feature scores over the matrices that lose the same structure.

    A group is the rows of q (its query heads are neighbours), k and v and the columns of o; a
    channel is a row of gate and up and a column of down (LLM-Pruner, arXiv 2305.11627, 3.1).

    Args:
        scores: By kind of matrix, one score per removable feature.
        kv_heads: Key/value heads of the block.
    """
    attention = ("q_proj", "k_proj", "v_proj", "o_proj")
    groups = [scores[kind].view(kv_heads, -1).sum(dim=1) for kind in attention]
    channels = [scores[kind] for kind in ("gate_proj", "up_proj", "down_proj")]
    return Importance(torch.stack(groups).sum(dim=0), torch.stack(channels).sum(dim=0))
