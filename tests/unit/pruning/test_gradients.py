"""Gradients equal plain autograd's, however little memory they may take."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.structure import MODULES
from pruning.profiling.gradients import Gradient, count_runs, measure_gradients, next_token_loss
from rankspace.errors import InvalidInput
from tuning.batches import collate
from tuning.examples import Example
from tuning.losses import measured_loss, summed_loss, token_losses

WINDOWS = torch.arange(96).view(4, 24) * 37 % 256
MATRIX_BYTES = 4 * 32 * 32  # of the largest of the tiny models


def matrices_of(model: PreTrainedModel) -> dict[str, nn.Linear]:
    blocks = enumerate(blocks_of(model))
    return {f"{i}.{kind}": matrix_of(block, kind) for i, block in blocks for kind in MODULES}


def measure(model: PreTrainedModel, limit: int) -> Mapping[str, Gradient]:
    return dict(measure_gradients(model, matrices_of(model), WINDOWS, squared=True, limit=limit))


def test_they_equal_those_of_plain_autograd(any_model: PreTrainedModel) -> None:
    found = measure(any_model, limit=10**9)
    weights = {name: matrix.weight for name, matrix in matrices_of(any_model).items()}
    for weight in weights.values():
        weight.requires_grad_(True)
    parts = [
        torch.autograd.grad(next_token_loss(any_model, window[None]), list(weights.values()))
        for window in WINDOWS
    ]
    for name, per_window in zip(weights, zip(*parts, strict=True), strict=True):
        stacked = torch.stack(per_window)
        torch.testing.assert_close(found[name].mean, stacked.mean(0))
        torch.testing.assert_close(found[name].mean_square, stacked.square().mean(0))


def test_the_loss_is_that_of_fine_tuning(any_model: PreTrainedModel) -> None:
    """Written twice, rounded differently: pruned models must not change by a rounding."""
    batch = collate([Example(window, 1) for window in WINDOWS], torch.device("cpu"))
    tuned = summed_loss(any_model, batch).item() / len(batch.targets)
    assert next_token_loss(any_model, WINDOWS).item() == pytest.approx(tuned, rel=1e-6)
    assert measured_loss(any_model, batch).item() / len(batch.targets) == pytest.approx(tuned)
    assert token_losses(any_model, batch).mean().item() == pytest.approx(tuned)


@pytest.mark.parametrize("limit", [1, 2 * MATRIX_BYTES, 5 * MATRIX_BYTES])
def test_a_lower_limit_takes_more_runs_and_changes_nothing(
    limit: int, llama: PreTrainedModel
) -> None:
    everything, little = measure(llama, limit=10**9), measure(llama, limit=limit)
    assert list(little) == list(everything)
    for name, gradient in everything.items():
        assert torch.equal(little[name].mean, gradient.mean)
        torch.testing.assert_close(little[name].mean_square, gradient.mean_square, rtol=0, atol=0)


def test_runs_are_counted_before_and_reported_one_by_one(llama: PreTrainedModel) -> None:
    matrices = matrices_of(llama)
    steps: list[int] = []
    cases = ((10**9, 1, 4), (1, 1, 4 * 21), (10**9, 2 * 24, 2), (1, 3 * 24, 2 * 21))
    for limit, most, runs in cases:
        steps.clear()
        found = measure_gradients(
            llama, matrices, WINDOWS, limit=limit, most=most, step=lambda: steps.append(1)
        )
        assert len(list(found)) == 21
        assert len(steps) == runs == count_runs(matrices, WINDOWS, limit=limit, most=most)


@pytest.mark.parametrize("most", [2 * 24, 3 * 24, 4 * 24 + 1])
def test_windows_run_together_give_the_same_but_for_rounding(
    most: int, any_model: PreTrainedModel
) -> None:
    """Three of four together leave one alone, which counts as much as each of the three."""
    matrices = matrices_of(any_model)
    one_by_one = dict(measure_gradients(any_model, matrices, WINDOWS, most=1))
    for name, together in measure_gradients(any_model, matrices, WINDOWS, most=most):
        expected = one_by_one[name].mean
        torch.testing.assert_close(together.mean, expected, rtol=1e-4, atol=1e-7)


def test_a_model_of_seven_thousand_million_takes_the_runs_the_page_says() -> None:
    shapes = [(4096, 4096)] * 4 + [(11008, 4096)] * 3
    matrices = {
        (block, i): nn.Linear(d_in, d_out, bias=False, device="meta")
        for block in range(32)
        for i, (d_out, d_in) in enumerate(shapes)
    }
    assert count_runs(matrices, WINDOWS) == 7
    assert count_runs(matrices, torch.zeros((10, 64))) == 7 * 3
    assert count_runs(matrices, WINDOWS, squared=True) == 14 * len(WINDOWS)


def test_one_matrix_has_its_gradient_at_a_time(llama: PreTrainedModel) -> None:
    weights = [matrix.weight for matrix in matrices_of(llama).values()]
    alive: list[int] = []

    def count(_weight: torch.Tensor) -> None:
        alive.append(sum(weight.grad is not None for weight in weights))

    llama.requires_grad_(True)
    handles: list[Any] = [
        weight.register_post_accumulate_grad_hook(count)  # type: ignore[no-untyped-call]
        for weight in weights
    ]
    measure(llama, limit=10**9)
    for handle in handles:
        handle.remove()
    assert alive == [1] * (len(weights) * len(WINDOWS))
    assert not any(weight.requires_grad or weight.grad is not None for weight in weights)
    assert not any(weight._post_accumulate_grad_hooks for weight in weights)


def test_a_gradient_that_was_there_counts_for_nothing_and_stays(llama: PreTrainedModel) -> None:
    expected = measure(llama, limit=10**9)
    weight = matrix_of(blocks_of(llama)[1], "up_proj").weight
    weight.grad = torch.ones_like(weight)
    assert torch.equal(measure(llama, limit=10**9)["1.up_proj"].mean, expected["1.up_proj"].mean)
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_a_model_without_a_finite_loss_is_refused(llama: PreTrainedModel) -> None:
    matrix = matrix_of(blocks_of(llama)[0], "up_proj")
    matrix.weight.fill_(torch.inf)
    with pytest.raises(InvalidInput, match="not a number"):
        list(measure_gradients(llama, {"up": matrix}, WINDOWS))
    assert not matrix.weight.requires_grad
