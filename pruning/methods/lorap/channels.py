"""Feed-forward channels by their weights and what these are fed, without gradients.

Source: Li et al., LoRAP (ICML 2024, arXiv 2404.09695).
"""

import math

import torch
from torch import nn

from pruning.container.assembly import matrix_of
from pruning.container.structure import MLP
from pruning.statistics.passage import BlockStatistics

LEAST = 0.01
"""Share of all channels, those with the lowest scores, that stay: few, and found to matter."""


def scores(block: nn.Module, statistics: BlockStatistics) -> torch.Tensor:
    """Return ``||W_j x||`` of each channel's row of gate and up and its column of down, ``(ffn,)``.

    ``x`` is the root mean square of each input; the three norms are added.
    """
    gate, up, down = (_squares(block, statistics, kind) for kind in MLP)
    return gate.sum(dim=1).sqrt() + up.sum(dim=1).sqrt() + down.sum(dim=0).sqrt()


def best_and_least(score: torch.Tensor, count: int) -> tuple[int, ...]:
    """Return ``count`` rising places of ``score``, ``(n,)``: the least, and the best."""
    order = score.cpu().argsort(stable=True)
    least = min(math.floor(LEAST * len(order)), count)
    dropped = len(order) - count
    stays = torch.cat((order[:least], order[least + dropped :]))
    return tuple(sorted(stays.tolist()))


def _squares(block: nn.Module, statistics: BlockStatistics, kind: str) -> torch.Tensor:
    """``(W_ij x_j)^2`` of one matrix, ``(d_out, d_in)``, float64."""
    mean_square = statistics[kind].norm.square() / statistics[kind].count
    return matrix_of(block, kind).weight.detach().double().square() * mean_square
