"""FLAP: what fluctuates least goes, and its mean stays as a bias.

Source: An et al., Fluctuation-based Adaptive Structured Pruning (AAAI 2024, arXiv 2312.11983), and
its code (metric WIFV, structures AL-AM and UL-UM), which squares the scores of attention and not
those of the MLP, and whose sums of deviations refer to a mean that moves as they are taken. Here
both matrices are scored by one formula, about the mean over all tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_block
from pruning.container.structure import BlockStructure, Structure
from pruning.methods.change import Cut
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import Importance
from pruning.methods.method import Cutting, kept_of
from pruning.methods.plan import Plan, Ranking
from pruning.methods.selection import Chosen, protect_best, select
from pruning.methods.surgery import Kept
from pruning.methods.wanda import OUTPUTS, left_features, statistics_memory
from pruning.progress import OnProgress, Steps
from pruning.statistics.passage import BlockStatistics, visit_blocks
from rankspace.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Flap(Cutting):
    """Looks at the dense model; ``global`` lets all heads and channels of all blocks compete."""

    ranking: Ranking = "global"

    def check_plan(self, structure: Structure, plan: Plan, ratio: float) -> None:
        if plan.ranking == "local":
            Cutting.check_plan(self, structure, plan, ratio)

    def left_whole(self, structure: Structure, plan: Plan) -> tuple[str, ...]:
        return Cutting.left_whole(self, structure, plan) if plan.ranking == "local" else ()

    def memory(self, dimensions: Dimensions) -> int:
        return statistics_memory(dimensions)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Cut:
        scores: dict[int, Importance] = {}
        means: dict[tuple[int, str], torch.Tensor] = {}

        def visit(index: int, statistics: BlockStatistics) -> None:
            scores[index] = importance(blocks_of(model)[index], statistics)
            means.update({(index, kind): statistics[kind].mean for kind in OUTPUTS})

        step = Steps(plan.blocks[-1] + 1, on_progress)
        visit_blocks(model, windows, plan.blocks, visit, kinds=OUTPUTS, step=step)
        is_global = plan.ranking == "global"
        chosen = _choose(model, scores, plan.ratio) if is_global else select(scores, plan)
        kept = kept_of(model, *chosen)
        return Cut(kept, _offsets(model, kept, means))


def importance(block: nn.Module, statistics: BlockStatistics) -> Importance:
    """Score by ``Var(X_j) ||W_:j||^2``, standardised over the features of the block's matrix.

    A head is the mean over its features; that a block's scores have mean 0 and deviation 1 lets
    heads and channels of different blocks be compared, and orders those of one block as before.
    """
    scores = {}
    for kind in OUTPUTS:
        squares = matrix_of(block, kind).weight.detach().double().square().sum(dim=0)
        scores[kind] = _standardised(statistics[kind].variance * squares)
    kv_heads = read_block(block, 0).kv_heads
    return Importance(scores["o_proj"].view(kv_heads, -1).mean(dim=1), scores["down_proj"])


def _standardised(scores: torch.Tensor) -> torch.Tensor:
    spread = scores.std()
    return ((scores - scores.mean()) / (spread if spread > 0 else 1.0)).float()


def _choose(
    model: PreTrainedModel, scores: Mapping[int, Importance], ratio: float
) -> tuple[Chosen, Chosen]:
    """Keep the best of all heads and channels, weighed by their weights; one of each per block."""
    layers = blocks_of(model)
    parts, costs = [], []
    for index, one in scores.items():
        block = read_block(layers[index], index)
        parts += [protect_best(one.kv_heads), protect_best(one.channels)]
        costs += [torch.full_like(parts[-2], _group_cost(block)), torch.full_like(parts[-1], 3)]
    everything, cost = torch.cat(parts), torch.cat(costs).double()
    order = everything.argsort(descending=True, stable=True)
    left = cost[order].cumsum(0)
    count = int((left - (1.0 - ratio) * cost.sum()).abs().argmin()) + 1
    if count == len(everything):
        smallest = float(cost[order[-1]] / cost.sum()) / 2
        problem, fix = "removes nothing", f"use more than {smallest:.3g}"
        raise InvalidInput("ratio", ratio, problem, fix=fix)
    stays = torch.zeros(len(everything), dtype=torch.bool)
    stays[order[: max(count, 2 * len(scores))]] = True
    pieces = torch.split(stays, [len(part) for part in parts])
    places = [tuple(piece.nonzero().flatten().tolist()) for piece in pieces]
    return dict(zip(scores, places[::2], strict=True)), dict(zip(scores, places[1::2], strict=True))


def _group_cost(block: BlockStructure) -> float:
    """Weights of a key/value head with its query heads, per unit of width; a channel has three."""
    return (2 * block.heads // block.kv_heads + 2) * block.head_dim


def _offsets(
    model: PreTrainedModel,
    kept: Mapping[int, Kept],
    means: Mapping[tuple[int, str], torch.Tensor],
) -> dict[tuple[int, str], torch.Tensor]:
    """Return ``W (mean of X)`` over what is cut: the bias that keeps the mean of each output.

    None of a matrix that loses nothing.
    """
    offsets = {}
    for index, stays in kept.items():
        block = blocks_of(model)[index]
        for kind, left in left_features(block, stays).items():
            if left.all():
                continue
            weight = matrix_of(block, kind).weight.detach().double()
            lost = means[index, kind] * ~left.to(weight.device)
            offsets[index, kind] = (weight @ lost).float()
    return offsets
