"""A frozen matrix and its low-rank change as one operation, forward and backward."""

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from tuning.factored.linear import input_gradient


def low_rank_product(
    x: Tensor,
    masters: tuple[Tensor, Tensor],
    copies: tuple[Tensor, Tensor],
    base: Any,
    scale: float | Tensor,
) -> Tensor:
    """Return ``W x + bias + B (scale * A x)``, ``(..., d_out)``, in the type of the base.

    As one operation the change is added where the product lies already, forward and backward: no
    tensor as large as an input or output is made that the base alone does not make. For the
    backward pass it keeps x, which matrices that read the same share, and ``scale * A x``.

    Args:
        x: ``(..., d_in)``.
        masters: A ``(r, d_in)`` and B ``(d_out, r)``, which the gradient is given to.
        copies: The same in the type of the base: what is computed with. B is fastest where it
            lies column by column.
        base: A linear layer that requires no gradients.
        scale: A number, or one for each row of A, float32 ``(r,)``.

    Source: Hu et al. 2022 (LoRA, arXiv 2106.09685), eq. 3; its derivative by hand.
    """
    product: Tensor = _LowRankProduct.apply(x, *masters, copies, base, scale)  # type: ignore[no-untyped-call]
    return product


class _LowRankProduct(Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # the values of one formula
        ctx: Any,
        x: Tensor,
        down: Tensor,
        up: Tensor,
        copies: tuple[Tensor, Tensor],
        base: Any,
        scale: float | Tensor,
    ) -> Tensor:
        first, second = copies
        rows = x.reshape(-1, x.shape[-1]).to(first.dtype)
        inner = linear(rows, first).mul_(scale)
        product: Tensor = base.forward(rows).addmm_(inner, second.t())
        ctx.save_for_backward(rows, inner, first, second)
        ctx.base, ctx.scale, ctx.shape = base, scale, x.shape
        ctx.types = x.dtype, down.dtype
        return product.view(*x.shape[:-1], product.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, inner, first, second = ctx.saved_tensors
        reads, trained = ctx.types
        above = gradient.reshape(-1, gradient.shape[-1])
        between = above.mm(second).mul_(ctx.scale)
        of_down, of_up = between.t().mm(rows), inner.t().mm(above).t()
        of_x = None
        if ctx.needs_input_grad[0]:  # no gradient has to reach what the first adapter reads
            of_x = input_gradient(ctx.base, above).addmm_(between, first)
            of_x = of_x.view(ctx.shape).to(reads)
        return of_x, of_down.to(trained), of_up.to(trained), None, None, None
