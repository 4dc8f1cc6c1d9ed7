"""A linear layer whose adapter has another rank whenever it is asked to."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import linear

from tuning.initialisation import first_matrix


class ElasticLinear(torch.nn.Module):
    """``base(x) + scale * B[:, :r] A[:r] x``: every smaller rank is a prefix of the largest.

    A begins with the rows that an adapter of rank ``r`` alone would begin with, and types are cast
    as peft casts them, so that a step at one rank is that adapter's step. At rank 0 the adapter is
    no part of the computation, and nothing of it has a gradient.

    Source: Valipour et al. 2023 (DyLoRA, arXiv 2210.07558) for the prefixes; the scale does not
    change with the rank.
    """

    def __init__(self, base: Any, name: str, largest: int, *, scale: float, seed: int) -> None:
        """Wrap ``base``, the module ``name``, with room for rank ``largest``, at least 1."""
        super().__init__()
        self.base = base
        self.largest = largest
        self.rank = largest
        self.scale = scale
        self.diagonal: Tensor | None = None
        """Weight of each row of A, ``(largest,)``, which stands in for a rank; None for none."""
        device = base.weight.device
        first = first_matrix(seed, name, largest, base.in_features)
        self.down = Parameter(first.to(device))
        self.up = Parameter(torch.zeros(base.out_features, largest, device=device))

    def forward(self, x: Tensor) -> Tensor:
        plain: Tensor = self.base(x)
        if self.rank == 0 and self.diagonal is None:
            return plain
        inner = linear(x.to(self.down.dtype), self._rows())
        if self.diagonal is not None:
            inner = inner * self.diagonal
        return (plain + linear(inner, self._columns()) * self.scale).to(plain.dtype)

    def _rows(self) -> Tensor:
        return self.down if self._is_whole else self.down[: self.rank]

    def _columns(self) -> Tensor:
        return self.up if self._is_whole else self.up[:, : self.rank]

    @property
    def _is_whole(self) -> bool:
        return self.diagonal is not None or self.rank == self.largest
