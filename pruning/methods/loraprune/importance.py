"""What heads and channels are worth, from an adapter's matrices and their gradients alone."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from pruning.container.structure import ATTENTION
from pruning.methods.importance import Importance, couple, feature_axis

EPSILON = 1e-8
"""Added to a norm that others are divided by, as in the source."""

AT_ONCE = 2**22
"""Weights of a matrix that are scored at a time, of whole rows: 16 MiB in float32."""


def block_importance(
    weights: Mapping[str, Tensor],
    matrices: Mapping[str, tuple[Parameter, Parameter]],
    scale: float,
    kv_heads: int,
) -> Importance:
    """Score the structures of one block: scores of norm 1 per matrix, summed over its matrices.

    Args:
        weights: Of all matrices of a block, by kind, ``(d_out, d_in)``.
        matrices: A ``(r, d_in)`` and B ``(d_out, r)`` beside each, with their gradients.
        scale: Of ``B A``, alpha over rank.
        kv_heads: Of the block; a group has all query heads of one.

    Source: arXiv 2305.18403, eq. 5 and 6, as the code has them: the magnitude, not its square.
    """
    scores = {}
    for kind, weight in weights.items():
        features = feature_scores(kind, weight, matrices[kind], scale)
        groups = features.view(kv_heads, -1).sum(dim=1) if kind in ATTENTION else features
        scores[kind] = groups / (groups.norm() + EPSILON)
    return couple(scores, kv_heads)


@torch.no_grad()
def feature_scores(
    kind: str, weight: Tensor, matrices: tuple[Parameter, Parameter], scale: float
) -> Tensor:
    """Sum ``|(dB A + B dA - dB dA) * (W + s B A)|`` over the weights of each feature of a matrix.

    What stands for the gradient of the merged weight is how far one step of plain descent moves
    ``B A``. It lacks the factor ``s`` in the source, and here: no score of norm 1 keeps it.
    """
    down, up = matrices
    of_down, of_up = _gradient(down), _gradient(up)
    parts, axis = [], feature_axis(kind)
    for rows in _slices(*weight.shape):
        estimate = of_up[rows] @ (down - of_down) + up[rows] @ of_down
        merged = torch.addmm(weight[rows].float(), up[rows], down, alpha=scale)
        parts.append(estimate.mul_(merged).abs_().sum(axis))
    return torch.cat(parts) if axis == 1 else torch.stack(parts).sum(dim=0)


def _gradient(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _slices(rows: int, columns: int) -> Sequence[slice]:
    size = max(1, AT_ONCE // columns)
    return [slice(start, start + size) for start in range(0, rows, size)]
