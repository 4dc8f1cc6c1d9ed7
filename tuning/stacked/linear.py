"""A linear layer with an adapter of each lane beside it."""

import torch
from torch import Tensor
from torch.nn import Linear

from tuning.stacked.product import StackedPair, stacked_product


class StackedLinear(torch.nn.Module):
    """``base(x) + scale * B_k A_k x`` for the rows of each lane k that ``pair`` is of.

    Attributes:
        base: The layer in whose place it is; it requires no gradients.
        pair: The matrices of the lanes that a pass is of. They are no parameters of the module:
            which lanes those are changes, and the optimiser knows each lane as one vector.
    """

    def __init__(self, base: Linear, scale: float) -> None:
        super().__init__()
        self.base = base
        self.pair: StackedPair | None = None
        self._scale = scale

    def forward(self, x: Tensor) -> Tensor:
        assert self.pair is not None  # the adapter chooses lanes as soon as it is on the model
        return stacked_product(x, self.pair, self.base, self._scale)
