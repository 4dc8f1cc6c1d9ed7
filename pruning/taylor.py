"""LLM-Pruner's criterion: the loss a structure's removal would cost, by Taylor expansion.

Source: Ma, Fang & Wang, LLM-Pruner (NeurIPS 2023, arXiv 2305.11627), section 3.2, and its code
(``taylor`` options ``param_first``, ``param_mix`` and ``vectorize``).
"""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from pruning.assembly import blocks_of, read_block
from pruning.gradients import Gradients, OnProgress, measure_gradients
from pruning.importance import Importance, chosen_matrices, couple, feature_axis
from pruning.settings import PruningSettings
from pruning.structure import MODULES, matrix_name


def taylor_first(
    model: PreTrainedModel,
    settings: PruningSettings,
    windows: torch.Tensor,
    on_progress: OnProgress | None = None,
) -> Mapping[int, Importance]:
    """Score by ``sum |w * dL/dw|`` over a structure's weights: the element-wise first order."""
    matrices = chosen_matrices(model, settings)
    gradients = measure_gradients(model, matrices, windows, on_progress=on_progress)
    return _score(model, settings, gradients, vector=False)


def taylor_mix(
    model: PreTrainedModel,
    settings: PruningSettings,
    windows: torch.Tensor,
    on_progress: OnProgress | None = None,
) -> Mapping[int, Importance]:
    """Score by ``sum |w * dL/dw - w^2 F / 2|``, ``F`` the diagonal of the empirical Fisher matrix.

    ``F`` stands for the Hessian: the mean over the windows of the squared gradient.
    """
    matrices = chosen_matrices(model, settings)
    gradients = measure_gradients(model, matrices, windows, squared=True, on_progress=on_progress)
    return _score(model, settings, gradients, vector=False)


def taylor_vector(
    model: PreTrainedModel,
    settings: PruningSettings,
    windows: torch.Tensor,
    on_progress: OnProgress | None = None,
) -> Mapping[int, Importance]:
    """Score by ``|sum w * dL/dw|``, the sum within each row or column of a matrix."""
    matrices = chosen_matrices(model, settings)
    gradients = measure_gradients(model, matrices, windows, on_progress=on_progress)
    return _score(model, settings, gradients, vector=True)


def _score(
    model: PreTrainedModel, settings: PruningSettings, gradients: Gradients, *, vector: bool
) -> Mapping[int, Importance]:
    matrices = chosen_matrices(model, settings)
    importances = {}
    for index in settings.blocks:
        scores = {}
        for kind in MODULES:
            name = matrix_name(index, kind)
            change = _loss_change(matrices[name].weight, gradients, name)
            axis = feature_axis(kind)
            scores[kind] = change.sum(axis).abs() if vector else change.abs().sum(axis)
        kv_heads = read_block(blocks_of(model)[index], index).kv_heads
        importances[index] = couple(scores, kv_heads)
    return importances


def _loss_change(weight: torch.Tensor, gradients: Gradients, name: str) -> torch.Tensor:
    """Return the estimated loss change per weight, up to its sign, of the weight's shape."""
    values = weight.detach().float()
    change = values * gradients.mean[name]
    if name in gradients.mean_square:
        change = change - 0.5 * values.square() * gradients.mean_square[name]
    return change
