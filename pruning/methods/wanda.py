"""Wanda by structures: output weights times the norm of what they are fed.

Source: Sun et al., A Simple and Effective Pruning Approach for LLMs (ICLR 2024, arXiv 2306.11695),
for heads and channels as "Wanda-sp" in An et al., FLAP (AAAI 2024, arXiv 2312.11983) and its code.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_block
from pruning.container.contents import Contents
from pruning.methods.change import Cut
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import Importance
from pruning.methods.method import Cutting, kept_of
from pruning.methods.plan import Plan
from pruning.methods.selection import select
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import Kept
from pruning.progress import OnProgress, Steps
from pruning.statistics.passage import BlockStatistics, Left, visit_blocks
from rankspace.errors import InvalidInput

OUTPUTS = ("o_proj", "down_proj")
"""What heads and channels write through: a column of it is theirs alone."""


@dataclass(frozen=True, slots=True)
class WandaStructured(Cutting):
    """Cuts block after block, each looked at on what those already cut write."""

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        Cutting.check(self, contents, settings)
        if settings.ranking == "global":
            problem = "compares blocks, which wanda-structured cuts one after the other"
            raise InvalidInput("ranking", settings.ranking, problem, fix="use local, or flap")

    def memory(self, dimensions: Dimensions) -> int:
        return statistics_memory(dimensions)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Cut:
        kept: dict[int, Kept] = {}

        def visit(index: int, statistics: BlockStatistics) -> Left:
            block = blocks_of(model)[index]
            scores = {index: importance(block, statistics)}
            kept.update(kept_of(model, *select(scores, plan)))
            return left_features(block, kept[index])

        step = Steps(plan.blocks[-1] + 1, on_progress)
        visit_blocks(model, windows, plan.blocks, visit, kinds=OUTPUTS, step=step)
        return Cut(kept)


def importance(block: nn.Module, statistics: BlockStatistics) -> Importance:
    """Score by ``mean_i |W_ij| ||X_j||`` of the output matrices; a head sums its features."""
    scores = {}
    for kind in OUTPUTS:
        weights = matrix_of(block, kind).weight.detach().abs().double().mean(dim=0)
        scores[kind] = (weights * statistics[kind].norm).float()
    kv_heads = read_block(block, 0).kv_heads
    return Importance(scores["o_proj"].view(kv_heads, -1).sum(dim=1), scores["down_proj"])


def left_features(block: nn.Module, kept: Kept) -> dict[str, torch.Tensor]:
    """Return which features of the output matrices' inputs are left, by kind."""
    head_dim = read_block(block, 0).head_dim
    heads = torch.zeros(matrix_of(block, "o_proj").in_features // head_dim, dtype=torch.bool)
    channels = torch.zeros(matrix_of(block, "down_proj").in_features, dtype=torch.bool)
    heads[list(kept.heads)] = True
    channels[list(kept.channels)] = True
    return {"o_proj": heads.repeat_interleave(head_dim), "down_proj": channels}


def statistics_memory(dimensions: Dimensions) -> int:
    """Bytes of a pass over the blocks: hidden states twice, one block, one matrix in float64."""
    return dimensions.hidden_bytes + dimensions.block_bytes + 8 * dimensions.largest_matrix
