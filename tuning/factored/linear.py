"""FactoredLinear: a linear layer whose matrix is kept as two thin ones."""

import torch
from torch import Tensor
from torch.nn import Linear, Module, Parameter
from torch.nn.functional import linear


class _OnlyToRead(Tensor):
    """What is made anew each time: changed in place, as peft merges, the change would be lost."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        raise RuntimeError(
            "the matrix is kept as two thin ones, into which nothing can be merged in place: "
            "export it with rankadaptor, or call pruning.factors.multiply_out(model) before"
        )


class FactoredLinear(Linear):
    """``left (right x) + bias``: a matrix ``(d_out, d_in)`` of ``rank * (d_in + d_out)`` weights.

    Adapters stand beside the product, as wide as the whole matrix.

    Attributes:
        left: ``(d_out, rank)``.
        right: ``(rank, d_in)``.
        bias: ``(d_out,)``, or None.
    """

    def __init__(self, left: Tensor, right: Tensor, bias: Tensor | None = None) -> None:
        Module.__init__(self)  # that of Linear would make the whole matrix
        self.out_features, self.in_features = len(left), right.shape[1]
        self.left, self.right = _frozen(left), _frozen(right)
        self.register_parameter("bias", None if bias is None else _frozen(bias))

    @property
    def rank(self) -> int:
        """Columns of ``left``, rows of ``right``."""
        return len(self.right)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # nothing is stored that could be set
        """The whole matrix, ``(d_out, d_in)``, made anew each time it is asked for."""
        with torch.inference_mode():  # an operation in place is refused outside of it
            return (self.left @ self.right).as_subclass(_OnlyToRead)

    def forward(self, input: Tensor) -> Tensor:
        return linear(linear(input, self.right), self.left, self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rank={self.rank}"


def input_gradient(base: Linear, above: Tensor) -> Tensor:
    """Return the gradient of what ``base`` reads, ``(n, d_in)``, from that of what it writes."""
    if isinstance(base, FactoredLinear):
        return above.mm(base.left).mm(base.right)
    return above.mm(base.weight)


def _frozen(tensor: Tensor) -> Parameter:
    return Parameter(tensor.detach().contiguous(), requires_grad=False)
