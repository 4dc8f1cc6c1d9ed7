"""A frozen matrix and the low-rank changes of several lanes as one operation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from tuning.factored.linear import input_gradient


@dataclass(frozen=True, slots=True)
class StackedPair:
    """The matrices A and B of some lanes on one module.

    Attributes:
        copies: A ``(lanes, R, d_in)`` and B ``(lanes, d_out, R)`` in the type of the base: what is
            computed with.
        gradients: Where the gradients of both are added up, float32, of the same shapes.
    """

    copies: tuple[Tensor, Tensor]
    gradients: tuple[Tensor, Tensor]


def stacked_product(x: Tensor, pair: StackedPair, base: Any, scale: float) -> Tensor:
    """Return ``W x + bias + scale * B_k A_k x`` for the rows of each lane k, ``(..., d_out)``.

    It is ``tuning.lora.product`` of each lane, but the product with W is one for all of them. No
    sum runs over two lanes, so what is not finite in one stays there. A row of A and the column
    of B that goes with it, both zero, have gradients of exactly zero.

    The backward pass adds to ``pair.gradients`` itself, in one operation with the product: autograd
    would make a tensor of each gradient, and add it as often.

    Args:
        x: ``(..., d_in)``: as many rows of the first lane as of every other, one after the other.
        pair: The matrices.
        base: A linear layer that requires no gradients.
        scale: Of the change, in all lanes.

    Source: Hu et al. 2022 (LoRA, arXiv 2106.09685), eq. 3; its derivative by hand.
    """
    asks = torch.zeros((), requires_grad=True)  # for a backward pass, also where x does not
    product: Tensor = _StackedProduct.apply(x, asks, pair, base, scale)  # type: ignore[no-untyped-call]
    return product


class _StackedProduct(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, asks: Tensor, pair: StackedPair, base: Any, scale: float
    ) -> Tensor:
        first, second = pair.copies
        rows = x.reshape(-1, x.shape[-1]).to(first.dtype)
        inner = torch.bmm(_by_lane(rows, len(first)), first.mT).mul_(scale)
        product: Tensor = base.forward(rows)
        _by_lane(product, len(first)).baddbmm_(inner, second.mT)
        ctx.save_for_backward(rows, inner, first, second)
        ctx.gradients, ctx.base, ctx.scale = pair.gradients, base, scale
        ctx.shape, ctx.reads = x.shape, x.dtype
        return product.view(*x.shape[:-1], product.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, inner, first, second = ctx.saved_tensors
        of_down, of_up = ctx.gradients
        above = gradient.reshape(-1, gradient.shape[-1])
        by_lane = _by_lane(above, len(first))
        between = torch.bmm(by_lane, second).mul_(ctx.scale)
        _add_product(of_down, between.mT, _by_lane(rows, len(first)))
        _add_product(of_up.mT, inner.mT, by_lane)
        if not ctx.needs_input_grad[0]:  # none has to reach what the first adapter reads
            return None, None, None, None, None
        of_x = input_gradient(ctx.base, above)
        _by_lane(of_x, len(first)).baddbmm_(between, first)
        return of_x.view(ctx.shape).to(ctx.reads), None, None, None, None


def _add_product(total: Tensor, one: Tensor, other: Tensor) -> None:
    if total.dtype is one.dtype:
        total.baddbmm_(one, other)
    else:
        total.add_(torch.bmm(one, other))


def _by_lane(rows: Tensor, lanes: int) -> Tensor:
    return rows.view(lanes, -1, rows.shape[-1])
