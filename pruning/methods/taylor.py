"""LLM-Pruner's criterion: the loss a structure's removal would cost, by Taylor expansion.

Source: Ma, Fang & Wang, LLM-Pruner (NeurIPS 2023, arXiv 2305.11627), section 3.2, and its code
(``taylor`` options ``param_first``, ``param_mix`` and ``vectorize``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, read_block
from pruning.methods.dimensions import Dimensions
from pruning.methods.importance import Importance, chosen_matrices, couple, feature_axis
from pruning.methods.plan import Plan
from pruning.profiling.gradients import LIMIT_BYTES, Gradient, count_runs, measure_gradients
from pruning.progress import OnProgress, Steps


@dataclass(frozen=True, slots=True)
class Taylor:
    """Scores by ``sum |w * dL/dw|`` over a structure's weights: the element-wise first order.

    The gradient is that of the loss averaged over the windows, so its sum over them is needed
    before the magnitude; that of one matrix after another, as soon as it is known.

    Attributes:
        fisher: Subtract ``w^2 F / 2`` within the magnitude, ``F`` the diagonal of the empirical
            Fisher matrix, which stands for the Hessian: ``param_mix``.
        vector: Take the magnitude of the sum within each row or column of a matrix, not of each
            weight: ``vectorize``.
    """

    fisher: bool = False
    vector: bool = False

    def memory(self, dimensions: Dimensions) -> int:
        return gradient_memory(dimensions, squared=self.fisher)

    def __call__(
        self,
        model: PreTrainedModel,
        plan: Plan,
        windows: torch.Tensor,
        on_progress: OnProgress | None = None,
    ) -> Mapping[int, Importance]:
        matrices = chosen_matrices(model, plan)
        steps = Steps(count_runs(matrices, windows, squared=self.fisher), on_progress)
        gradients = measure_gradients(model, matrices, windows, squared=self.fisher, step=steps)
        scores: dict[int, dict[str, torch.Tensor]] = {index: {} for index in plan.blocks}
        for (index, kind), gradient in gradients:
            change = _loss_change(matrices[index, kind].weight, gradient)
            axis = feature_axis(kind)
            summed = change.sum(axis).abs() if self.vector else change.abs().sum(axis)
            scores[index][kind] = summed
        layers = blocks_of(model)
        return {i: couple(scores[i], read_block(layers[i], i).kv_heads) for i in scores}


def gradient_memory(dimensions: Dimensions, *, squared: bool) -> int:
    """Bytes of the sums, of one gradient and what it is reduced with, and of a backward pass."""
    per_weight, largest = (8 if squared else 4), dimensions.largest_matrix
    sums = max(min(LIMIT_BYTES, per_weight * dimensions.looked_at), per_weight * largest)
    at_once = (dimensions.number_bytes + 8) * largest
    run = replace(dimensions, samples=1) if squared else dimensions  # squares: window by window
    return sums + at_once + run.all_blocks_bytes + run.logits_bytes


def _loss_change(weight: torch.Tensor, gradient: Gradient) -> torch.Tensor:
    """Return the estimated loss change per weight, up to its sign, of the weight's shape."""
    values = weight.detach().float()
    change = values * gradient.mean
    if gradient.mean_square is not None:
        change = change - 0.5 * values.square() * gradient.mean_square
    return change
