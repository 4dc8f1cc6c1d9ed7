"""The hand-written derivative of a matrix with a low-rank change."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tuning.factored.linear import FactoredLinear
from tuning.lora.product import low_rank_product

ROW_SCALES = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)


def layer(*, bias: bool) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(5, 4, bias=bias, dtype=torch.float64).requires_grad_(False)


def factors() -> FactoredLinear:
    torch.manual_seed(1)
    left, right, bias = (torch.randn(s, dtype=torch.float64) for s in ((4, 2), (2, 5), (4,)))
    return FactoredLinear(left, right, bias)


def matrices() -> tuple[Tensor, Tensor]:
    down, up = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64).t()
    return down.requires_grad_(True), up.requires_grad_(True)


def product(base: Any, x: Tensor, down: Tensor, up: Tensor, scale: float | Tensor) -> Tensor:
    return low_rank_product(x, (down, up), (down.detach(), up.detach()), base, scale)


@pytest.mark.parametrize("scale", [1.5, ROW_SCALES], ids=["number", "by row"])
@pytest.mark.parametrize("base", [layer(bias=True), layer(bias=False), factors()])
def test_values_and_gradients_are_those_of_the_formula(base: Any, scale: float | Tensor) -> None:
    down, up = matrices()
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, 4, dtype=torch.float64)
    found = product(base, x, down, up, scale)
    bias = 0.0 if base.bias is None else base.bias
    expected = x @ base.weight.clone().t() + bias + (x @ down.t() * scale) @ up.t()
    assert torch.allclose(found, expected)
    ours = torch.autograd.grad((found * weights).sum(), (x, down, up))
    theirs = torch.autograd.grad((expected * weights).sum(), (x, down, up))
    assert all(torch.allclose(one, other) for one, other in zip(ours, theirs, strict=True))


def test_what_needs_no_gradient_gets_none() -> None:
    base, (down, up) = layer(bias=False), matrices()
    x = torch.randn(3, 5, dtype=torch.float64)
    product(base, x, down, up, 2.0).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is None
    assert down.grad is not None


def test_matrices_that_read_the_same_keep_it_once_and_nothing_larger_than_a_rank() -> None:
    base, kept = layer(bias=True), dict[int, int]()
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    pairs = [matrices(), matrices()]
    own = {one.untyped_storage().data_ptr() for pair in pairs for one in pair}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        outputs = [product(base, x, *pair, 2.0) for pair in pairs]
    assert len(outputs) == 2
    beside = {place: size for place, size in kept.items() if place not in own}
    assert sorted(beside.values()) == [7 * 3 * 8, 7 * 3 * 8, 7 * 5 * 8]
