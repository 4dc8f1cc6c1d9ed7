"""A linear layer with an adapter beside it, whose rank can be another whenever it is asked to."""

import torch
from torch import Tensor
from torch.nn import Linear, Parameter

from tuning.lora.product import low_rank_product


class LoraLinear(torch.nn.Module):
    """``base(x) + scale * B[:, :r] A[:r] x``: every smaller rank is a prefix of the largest.

    At rank 0 the adapter is no part of the computation, and nothing of it has a gradient.

    Source: Valipour et al. 2023 (DyLoRA, arXiv 2210.07558) for the prefixes; the scale does not
    change with the rank.
    """

    def __init__(
        self,
        base: Linear,
        masters: tuple[Parameter, Parameter],
        copies: tuple[Tensor, Tensor],
        scale: float,
    ) -> None:
        """Wrap ``base``.

        Args:
            base: It requires no gradients.
            masters: A ``(rank, d_in)`` and B ``(d_out, rank)``, float32.
            copies: The same in the type of the base.
            scale: Of the change, whatever its rank.
        """
        super().__init__()
        self.base = base
        self.down, self.up = masters
        self.rank = self.largest
        self.diagonal: Tensor | None = None
        """Weight of each row of A, ``(largest,)``, which stands in for a rank; None for none."""
        self._copies = copies
        self._scale = scale

    @property
    def largest(self) -> int:
        return len(self.down)

    def forward(self, x: Tensor) -> Tensor:
        if self.diagonal is not None:
            return self._product(x, self.largest, self._scale * self.diagonal)
        if self.rank == 0:
            plain: Tensor = self.base(x)
            return plain
        return self._product(x, self.rank, self._scale)

    def _product(self, x: Tensor, rank: int, scale: float | Tensor) -> Tensor:
        masters, copies = (self.down, self.up), self._copies
        if rank == self.largest:
            return low_rank_product(x, masters, copies, self.base, scale)
        first = _first(masters, rank), _first(copies, rank)
        return low_rank_product(x, *first, self.base, scale)


def _first(matrices: tuple[Tensor, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    down, up = matrices
    return down[:rank], up[:, :rank]
