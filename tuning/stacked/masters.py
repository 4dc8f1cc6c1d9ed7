"""StackedMasters: the matrices of all lanes in float32, and copies of them to compute with."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from tuning.stacked.product import StackedPair

BLOCK = 1024
"""Numbers that are squared and added up at a time for a norm: of a lane's millions in one go a
CPU's float32 sum would lose digits that the sums of single matrices keep."""


class StackedMasters:
    """A row for each lane, in which all its matrices lie, every module as wide as its largest rank.

    So a norm, a copy or an update of lanes is one operation over rows, and lanes that come one
    after the other are a stack without being copied. B lies there column by column, as in
    ``tuning.lora.masters``. The gradients have their place from the start: they are added to it,
    never made anew.

    Args:
        shapes: ``(R, d_in, d_out)`` of each module.
        lanes: How many.
        dtype: Of the base.
        device: Where the base is.

    Attributes:
        parameters: Of each lane all that is trained, ``(size,)``, zeros to begin with. A lane
            without a gradient is not trained any more.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        lanes: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._shapes = tuple(shapes)
        size = sum(rank * (inputs + outputs) for rank, inputs, outputs in shapes)
        self._values = torch.zeros(lanes, BLOCK * math.ceil(size / BLOCK), device=device)
        self._gradients = torch.zeros_like(self._values)
        self._copy = self._values if dtype is torch.float32 else self._values.to(dtype)
        self.parameters = tuple(map(Parameter, self._values))
        for slot, parameter in enumerate(self.parameters):
            parameter.grad = self._gradients[slot]

    def pairs(self, slots: slice) -> Iterator[StackedPair]:
        """Return the matrices that lie in the rows ``slots``, module by module."""
        parts = self._cut(self._copy[slots]), self._cut(self._gradients[slots])
        return (StackedPair(copies, gradients) for copies, gradients in zip(*parts, strict=True))

    def matrices(self, slot: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield A ``(R, d_in)`` and B ``(d_out, R)`` in float32, padding and all, likewise."""
        for down, up in self._cut(self._values[slot : slot + 1]):
            yield down[0], up[0]

    @torch.no_grad()
    def refresh(self, slots: slice) -> None:
        """Take the rows ``slots`` over into the copies; see ``tuning.lora.masters``."""
        if self._copy is not self._values:
            self._copy[slots].copy_(self._values[slots])

    @torch.no_grad()
    def clip(self, slots: slice, most: float) -> None:
        """Scale the gradient of each of the rows down to the norm ``most``, each by itself."""
        gradients = self._gradients[slots]
        blocks = gradients.view(len(gradients), -1, BLOCK)
        norms = blocks.norm(dim=2).norm(dim=1, keepdim=True)
        gradients.mul_((most / (norms + 1e-6)).clamp_(max=1.0))  # as clip_grad_norm_ has it

    def forget_gradients(self) -> None:
        self._gradients.zero_()

    @torch.no_grad()
    def swap(self, lanes: tuple[int, int], slots: tuple[int, int]) -> None:
        """Let two lanes, which lie in ``slots``, change places, gradients and all."""
        for rows in (self._values, self._gradients):
            rows[list(slots)] = rows[list(reversed(slots))]
        for lane, slot in zip(lanes, reversed(slots), strict=True):
            # The optimiser knows a lane by its parameter, wherever that lies.
            self.parameters[lane].data = self._values[slot]
            self.parameters[lane].grad = self._gradients[slot]

    def _cut(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        begin = 0
        for rank, inputs, outputs in self._shapes:
            middle, end = begin + rank * inputs, begin + rank * (inputs + outputs)
            down = rows[:, begin:middle].view(-1, rank, inputs)
            yield down, rows[:, middle:end].view(-1, rank, outputs).mT
            begin = end
