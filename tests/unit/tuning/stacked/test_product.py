"""The hand-written derivative of a matrix with the low-rank changes of several lanes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tuning.factored.linear import FactoredLinear
from tuning.stacked.product import StackedPair, stacked_product

LANES, ROWS, RANK, WIDE, HIGH = 3, 4, 2, 5, 6


def layer(*, bias: bool, dtype: torch.dtype = torch.float64) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(WIDE, HIGH, bias=bias, dtype=dtype).requires_grad_(False)


def matrices(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    down = torch.randn(LANES, RANK, WIDE, dtype=dtype)
    return down, torch.randn(LANES, RANK, HIGH, dtype=dtype).mT


def empty(down: Tensor, up: Tensor, dtype: torch.dtype = torch.float64) -> StackedPair:
    gradients = torch.zeros_like(down, dtype=dtype), torch.zeros_like(up.mT, dtype=dtype).mT
    return StackedPair((down, up), gradients)


def formula(base: Any, x: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    lanes = x.chunk(LANES)
    changes = [scale * one @ a.t() @ b.t() for one, a, b in zip(lanes, down, up, strict=True)]
    found: Tensor = base(x) + torch.cat(changes)
    return found


@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_formula(bias: bool) -> None:
    base, (down, up) = layer(bias=bias), matrices()
    x = torch.randn(LANES, ROWS, WIDE, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(LANES, ROWS, HIGH, dtype=torch.float64)
    pair = empty(down, up)
    found = stacked_product(x, pair, base, 1.5)
    leaves = down.clone().requires_grad_(True), up.clone().requires_grad_(True)
    expected = formula(base, x, *leaves, 1.5)
    assert torch.allclose(found, expected)
    (of_x,) = torch.autograd.grad((found * weights).sum(), (x,))
    their_x, *theirs = torch.autograd.grad((expected * weights).sum(), (x, *leaves))
    assert torch.allclose(of_x, their_x)
    assert all(torch.allclose(a, b) for a, b in zip(pair.gradients, theirs, strict=True))


def test_a_base_of_two_thin_matrices_is_the_product_of_them() -> None:
    torch.manual_seed(1)
    left, right = torch.randn(HIGH, 2).double(), torch.randn(2, WIDE).double()
    thin, whole = FactoredLinear(left, right), layer(bias=False)
    whole.weight.copy_(left @ right)
    down, up = matrices()
    x = torch.randn(LANES, ROWS, WIDE, dtype=torch.float64, requires_grad=True)
    found = []
    for base in (thin, whole):
        pair = empty(down, up)
        product = stacked_product(x, pair, base, 1.5)
        found.append((product, *torch.autograd.grad(product.square().sum(), (x,)), *pair.gradients))
    assert all(torch.allclose(one, other) for one, other in zip(*found, strict=True))


def test_gradients_of_passes_are_added_up_and_the_first_matrix_needs_no_input_gradient() -> None:
    base, pair = layer(bias=False), empty(*matrices())
    x = torch.randn(LANES, ROWS, WIDE, dtype=torch.float64)
    for _ in range(2):
        stacked_product(x, pair, base, 2.0).sum().backward()  # type: ignore[no-untyped-call]
    once = empty(*pair.copies)
    stacked_product(x, once, base, 2.0).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is None
    both = zip(pair.gradients, once.gradients, strict=True)
    assert all(torch.allclose(twice, 2 * one) and one.any() for twice, one in both)


def test_in_bfloat16_gradients_are_added_up_in_float32() -> None:
    base = layer(bias=False, dtype=torch.bfloat16)
    pair = empty(*matrices(torch.bfloat16), torch.float32)
    for one in pair.gradients:
        one.fill_(1000.0)  # of which bfloat16 has no neighbour nearer than 4
    x = torch.full((LANES, ROWS, WIDE), 0.01, dtype=torch.bfloat16)
    stacked_product(x, pair, base, 1.0).sum().backward()  # type: ignore[no-untyped-call]
    added = (pair.gradients[1] - 1000).abs()
    assert 0 < added.max() < 1


def test_what_is_not_finite_stays_in_its_lane() -> None:
    base, pair = layer(bias=True), empty(*matrices())
    x = torch.randn(LANES, ROWS, WIDE, dtype=torch.float64)
    x[1] = math.nan
    x.requires_grad_(True)
    found = stacked_product(x, pair, base, 2.0)
    found.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    for tensor in (found, x.grad, *pair.gradients):
        assert tensor[1].isnan().all()
        assert tensor[[0, 2]].isfinite().all()


def test_matrices_that_read_the_same_keep_it_once_and_nothing_larger_than_a_rank() -> None:
    base, kept = layer(bias=True), dict[int, int]()
    x = torch.randn(LANES, ROWS, WIDE, dtype=torch.float64, requires_grad=True)
    pairs = [empty(*matrices()) for _ in range(2)]
    own = {one.untyped_storage().data_ptr() for pair in pairs for one in pair.copies}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        outputs = [stacked_product(x, pair, base, 2.0) for pair in pairs]
    assert len(outputs) == 2
    beside = {place: size for place, size in kept.items() if place not in own}
    inner, read = LANES * ROWS * RANK * 8, LANES * ROWS * WIDE * 8
    assert sorted(beside.values()) == [inner, inner, read]
