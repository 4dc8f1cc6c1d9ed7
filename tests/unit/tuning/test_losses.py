"""The loss of a frozen head in slices is the whole one's, and so is the gradient it hands back."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tuning.batches import Batch
from tuning.losses import summed_loss, trained_losses
from tuning.training import autocast

CPU = torch.device("cpu")
WIDTH, VOCABULARY, ROWS = 24, 97, 40


class Head(torch.nn.Module):
    """A model that is nothing but a head: its decoder hands out the states it was given."""

    def __init__(self, states: Tensor, cap: float | None, *, bias: bool = False) -> None:
        super().__init__()
        self.states = states
        self.head = torch.nn.Linear(WIDTH, VOCABULARY, bias=bias)
        self.config = SimpleNamespace(vocab_size=VOCABULARY, final_logit_softcapping=cap)

    def get_decoder(self) -> Any:
        return lambda **_: SimpleNamespace(last_hidden_state=self.states[None])

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head


def made(dtype: torch.dtype, cap: float | None, *, bias: bool = False) -> tuple[Head, Batch]:
    torch.manual_seed(0)
    states = (3 * torch.randn(ROWS, WIDTH)).to(dtype).requires_grad_(True)
    model = Head(states, cap, bias=bias).to(dtype).requires_grad_(False)
    model.head.weight.normal_()
    batch = Batch(torch.zeros(1, ROWS), None, torch.randint(VOCABULARY, (ROWS,)))
    return model, batch


def loss_and_gradient(model: Head, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    with autocast(CPU, dtype):
        loss = summed_loss(model, batch) / 37
    loss.backward()  # type: ignore[no-untyped-call]
    assert model.states.grad is not None
    found, model.states.grad = model.states.grad, None
    return loss.detach(), found


def whole(model: Head, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """By autograd, as of a head that is trained."""
    model.head.requires_grad_(True)
    found = loss_and_gradient(model, batch, dtype)
    model.head.requires_grad_(False)
    return found


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("cap", [None, 5.0])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_slices_of_a_frozen_head_give_the_whole_loss_and_its_gradient(
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    rounding: float,
    cap: float | None,
    rows: int,
) -> None:
    model, batch = made(dtype, cap)
    loss, gradient = whole(model, batch, dtype)
    monkeypatch.setattr("tuning.losses.MOST_TRAINED", rows * VOCABULARY)
    sliced, of_states = loss_and_gradient(model, batch, dtype)
    assert sliced.item() == pytest.approx(loss.item(), rel=rounding if cap else 1e-6)
    assert of_states.dtype is dtype
    apart = (of_states.float() - gradient.float()).abs().max()
    assert apart <= rounding * gradient.float().abs().max()


@pytest.mark.parametrize("cap", [None, 5.0])
def test_in_bfloat16_the_gradient_is_as_near_to_the_exact_one_as_before(cap: float | None) -> None:
    """The same states and weights in float64 are the oracle."""
    model, batch = made(torch.bfloat16, cap)
    _, before = whole(model, batch, torch.bfloat16)
    _, after = loss_and_gradient(model, batch, torch.bfloat16)
    exact_model = Head(model.states.detach().double().requires_grad_(True), cap)
    exact_model.head = model.head.double()
    _, exact = whole(exact_model, batch, torch.float64)
    errors = [(found.double() - exact).norm() / exact.norm() for found in (before, after)]
    assert errors[1] < 1.2 * errors[0] < 0.03


def test_a_head_that_is_trained_gets_its_gradient() -> None:
    model, batch = made(torch.float32, None)
    whole(model, batch, torch.float32)
    assert model.head.weight.grad is not None


@pytest.mark.parametrize("trained", [True, False])
def test_a_bias_counts_and_one_that_is_trained_gets_its_gradient(trained: bool) -> None:
    model, batch = made(torch.float32, None, bias=True)
    expected, _ = whole(model, batch, torch.float32)
    model.head.bias.grad = None
    model.head.bias.requires_grad_(trained)
    loss, _ = loss_and_gradient(model, batch, torch.float32)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (model.head.bias.grad is not None) is trained


def test_no_logit_is_kept_for_the_backward_pass() -> None:
    model, batch = made(torch.float32, 5.0)
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        summed_loss(model, batch)
    assert max(kept) == ROWS * WIDTH


def test_the_loss_of_each_token_has_a_gradient_of_its_own() -> None:
    model, batch = made(torch.float32, None)
    weights = torch.linspace(0.1, 2.0, ROWS)
    found = []
    for is_trained in (False, True):
        model.head.requires_grad_(is_trained)
        losses = trained_losses(model, batch)
        (of_states,) = torch.autograd.grad((weights * losses).sum(), (model.states,))
        found.append((losses.detach(), of_states))
    (losses, gradient), (whole_losses, whole_gradient) = found
    assert losses.shape == (ROWS,)
    assert torch.allclose(losses, whole_losses, atol=1e-5)
    assert torch.allclose(gradient, whole_gradient, atol=1e-5)
