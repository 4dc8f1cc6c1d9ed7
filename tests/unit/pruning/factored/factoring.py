"""Matrices of a small model put as factors, of a rank that leaves something out."""

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, replace_matrix
from tuning.factored.linear import FactoredLinear

RANKS = {(0, "q_proj"): 5, (0, "k_proj"): 3, (1, "o_proj"): 7, (2, "v_proj"): 16}
"""Of a hidden width of 32 with 4 key/value heads of 4: non-square, one of full rank."""


def factor(model: PreTrainedModel, ranks: dict[tuple[int, str], int] = RANKS) -> None:
    for (index, kind), rank in ranks.items():
        block = blocks_of(model)[index]
        matrix = matrix_of(block, kind)
        u, s, v = torch.linalg.svd(matrix.weight.detach(), full_matrices=False)
        left, right = u[:, :rank] * s[:rank], v[:rank]
        replace_matrix(block, kind, FactoredLinear(left, right, matrix.bias))
