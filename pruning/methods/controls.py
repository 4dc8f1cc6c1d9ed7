"""Scores that look at no data: what any better criterion must beat."""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_block
from pruning.container.structure import MODULES
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import Importance, couple, feature_axis
from pruning.methods.plan import Plan
from pruning.progress import OnProgress, Steps


class Magnitude:
    """Scores by the sum of squared weights: LLM-Pruner's option ``l2``, without the root."""

    def memory(self, dimensions: Dimensions) -> int:
        """One matrix in float32, and its squares."""
        return 8 * dimensions.largest_matrix

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, Importance]:
        step, importances = Steps(len(plan.blocks), on_progress), {}
        for index in plan.blocks:
            block = blocks_of(model)[index]
            scores = {}
            for kind in MODULES:
                squares = matrix_of(block, kind).weight.detach().float().square()
                scores[kind] = squares.sum(feature_axis(kind))
            importances[index] = couple(scores, read_block(block, index).kv_heads)
            step()
        return importances


class Random:
    """Scores by uniform numbers of the plan's seed."""

    def memory(self, dimensions: Dimensions) -> int:
        return 0

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, Importance]:
        generator = torch.Generator().manual_seed(plan.seed)
        step, importances = Steps(len(plan.blocks), on_progress), {}
        for index in plan.blocks:
            block = read_block(blocks_of(model)[index], index)
            heads = torch.rand(block.kv_heads, generator=generator)
            importances[index] = Importance(heads, torch.rand(block.ffn, generator=generator))
            step()
        return importances
