"""Factored matrices of a model in memory, multiplied out."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of, replace_matrix
from tuning.factored.linear import FactoredLinear


def multiply_out(model: PreTrainedModel) -> None:
    """Put a whole matrix in the place of each one that is kept as two thin ones, in place.

    It computes the same but for one rounding of each product, with more weights.
    """
    for block, kind, matrix in list(_factored(model)):
        replace_matrix(block, kind, _whole(matrix))


@contextmanager
def multiplied_out(model: PreTrainedModel) -> Iterator[None]:
    """Have every matrix of ``model`` whole while the block runs, beside its factors."""
    places = list(_factored(model))
    multiply_out(model)
    try:
        yield
    finally:
        for block, kind, matrix in places:
            replace_matrix(block, kind, matrix)


def _factored(model: PreTrainedModel) -> Iterator[tuple[nn.Module, str, FactoredLinear]]:
    for block in blocks_of(model):
        for kind in kinds_of(block):
            matrix = matrix_of(block, kind)
            if isinstance(matrix, FactoredLinear):
                yield block, kind, matrix


def _whole(matrix: FactoredLinear) -> nn.Linear:
    made = nn.Linear(matrix.in_features, matrix.out_features, bias=False, device="meta")
    made.weight = nn.Parameter(matrix.left @ matrix.right, requires_grad=False)
    made.bias = matrix.bias
    return made
