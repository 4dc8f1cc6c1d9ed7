"""LoRAP as a method: a block after the other, each looked at on what those already cut write."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_block
from pruning.container.contents import Contents
from pruning.container.structure import ATTENTION, MLP, BlockStructure, Structure
from pruning.methods.change import Cut, Pair
from pruning.methods.cutting import check_halves
from pruning.methods.dimensions import Dimensions
from pruning.methods.lorap.allocation import channels_left, kept_shares, ranks_of
from pruning.methods.lorap.channels import best_and_least, scores
from pruning.methods.lorap.factoring import factored, scales
from pruning.methods.plan import Plan, Ranking
from pruning.methods.settings import PruningSettings
from pruning.methods.surgery import Kept, whole_groups
from pruning.progress import OnProgress, Steps
from pruning.statistics.passage import BlockStatistics, Left, visit_blocks
from rankspace.errors import InvalidInput
from tuning.factored.linear import FactoredLinear

DECOMPOSITION = 5 * 8
"""Bytes per weight of a matrix while it is decomposed: itself and scaled, U, V and workspace."""


@dataclass(frozen=True, slots=True)
class Lorap:
    """Attention as factors, and fewer feed-forward channels; all heads stay.

    Attributes:
        weighted: Whether factors are the best for what their matrix is fed; else for any input.
    """

    weighted: bool = True
    ranking: Ranking = "local"

    def check(self, contents: Contents, settings: PruningSettings) -> None:
        check_halves(contents.structure, settings.blocks)
        if settings.ranking == "global":
            problem = f"compares blocks, which {settings.method} cuts one after the other"
            raise InvalidInput("ranking", settings.ranking, problem, fix="use local, or flap")

    def check_plan(self, structure: Structure, plan: Plan, ratio: float) -> None:
        """Queries and keys of a rate above 0 always lose something."""

    def left_whole(self, structure: Structure, plan: Plan) -> tuple[str, ...]:
        whole = [
            index
            for index, rate in plan.rates.items()
            if rate > 0.0 and kept_shares(structure.blocks[index], rate)["v_proj"] >= 1.0
        ]
        if not whole:
            return ()
        told = ", ".join(map(str, whole))
        return (f"blocks {told} keep v_proj and o_proj whole: q_proj and k_proj lose their share",)

    def memory(self, dimensions: Dimensions) -> int:
        blocks = [dimensions.structure.blocks[index] for index in dimensions.blocks]
        largest = max(max(_attention(block, dimensions.hidden)) for block in blocks)
        found = sum(sum(_attention(block, dimensions.hidden)) for block in blocks)
        looking = dimensions.hidden_bytes + dimensions.block_bytes
        of_channels = 8 * dimensions.largest_matrix
        return looking + max(DECOMPOSITION * largest, of_channels) + found * dimensions.number_bytes

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Cut:
        layers, hidden = blocks_of(model), int(model.config.hidden_size)
        structures = {index: read_block(layers[index], index) for index in plan.blocks}
        ranks = {
            index: ranks_of(structures[index], hidden, rate) if rate > 0.0 else {}
            for index, rate in plan.rates.items()
        }
        kept: dict[int, Kept] = {}
        factors: dict[tuple[int, str], Pair] = {}
        matrices = sum(map(len, ranks.values()))
        step = Steps(plan.blocks[-1] + 1 + matrices, on_progress)

        def visit(index: int, statistics: BlockStatistics) -> Left:
            block, structure = layers[index], structures[index]
            left: dict[str, torch.Tensor | nn.Linear] = {}
            for kind, rank in ranks[index].items():
                matrix = matrix_of(block, kind)
                scale = scales(statistics[kind], len(windows)) if self.weighted else None
                pair = factors[index, kind] = factored(matrix.weight, rank, scale)
                left[kind] = FactoredLinear(*pair, matrix.bias)
                step()
            count = channels_left(structure, hidden, plan.rates[index])
            channels = best_and_least(scores(block, statistics), count)
            kept[index] = whole_groups(structure, range(structure.kv_heads), channels)
            stays = torch.zeros(structure.ffn, dtype=torch.bool)
            stays[list(channels)] = True
            return {**left, "down_proj": stays}

        visit_blocks(model, windows, plan.blocks, visit, kinds=(*ATTENTION, *MLP), step=step)
        return Cut(kept, factors=factors)


def _attention(block: BlockStructure, hidden: int) -> list[int]:
    """Weights of each attention matrix."""
    return [math.prod(block.shape(kind, hidden)) for kind in ATTENTION]
