"""Masters: the matrices of an adapter in float32, and copies of them to compute with."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter


class Masters:
    """Pairs of matrices A and B as float32 parameters in one tensor: all are cast at once.

    B lies there column by column. Matrices of a few rows then lie along their length in every
    product, which is what libraries are fast at: several times, at these shapes, in the two
    products of the backward pass that take B or make its gradient.

    Attributes:
        parameters: A ``(rank, d_in)`` and B ``(d_out, rank)`` of each pair, all of them zeros.
        copies: The same in the type of the base, as of the latest ``refresh``; where that is
            float32 they are the parameters' own values, at any time.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int, int]], dtype: torch.dtype, device: torch.device
    ) -> None:
        """Make room for pairs of which each shape is ``(rank, d_in, d_out)``."""
        size = sum(rank * (inputs + outputs) for rank, inputs, outputs in shapes)
        self._values = torch.zeros(size, device=device)
        self._copy = self._values if dtype is torch.float32 else self._values.to(dtype)
        self.parameters = tuple(map(Parameter, _cut(self._values, shapes)))
        self.copies = tuple(_cut(self._copy, shapes))

    @torch.no_grad()
    def refresh(self) -> None:
        """Take the parameters over into the copies.

        Whoever computes with copies calls it first: torch does not count what its fused AdamW
        writes, so nothing tells that they are old.
        """
        if self._copy is not self._values:
            self._copy.copy_(self._values)


def _cut(values: Tensor, shapes: Sequence[tuple[int, int, int]]) -> Iterator[Tensor]:
    begin = 0
    for rank, inputs, outputs in shapes:
        middle, end = begin + rank * inputs, begin + rank * (inputs + outputs)
        yield values[begin:middle].view(rank, inputs)
        yield values[middle:end].view(rank, outputs).t()
        begin = end
