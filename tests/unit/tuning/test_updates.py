"""Training's updates are those of a loop written by hand."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from pruning.container.container import load
from rankspace.recipe import Optimizer
from tuning.batches import Passes
from tuning.examples import Example, windows
from tuning.training import train

RATE = 1e-2
EXAMPLES = windows([i * i % 251 for i in range(96)], 8)
STEPS = [EXAMPLES[:4], EXAMPLES[4:8], EXAMPLES[8:]]
TRAINED = ("model.layers.1.mlp.down_proj.weight", "model.norm.weight")


def trained(model: Any) -> list[Parameter]:
    return [model.get_parameter(name).requires_grad_(True) for name in TRAINED]


def gradients(model: Any, examples: Sequence[Example], most: float) -> list[Tensor]:
    """Of transformers' own loss; their common norm is cut to ``most``."""
    tokens = torch.stack([example.tokens.long() for example in examples])
    found = torch.autograd.grad(model(input_ids=tokens, labels=tokens).loss, trained(model))
    norm = math.sqrt(sum(gradient.square().sum().item() for gradient in found))
    return [gradient * min(1.0, most / norm) for gradient in found]


def update_by_hand(model: Any, rates: Sequence[float], decay: float, most: float) -> None:
    """AdamW over ``STEPS``. Source: Loshchilov & Hutter (2019), algorithm 2."""
    parameters = trained(model)
    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    for step, (rate, examples) in enumerate(zip(rates, STEPS, strict=True), 1):
        found = gradients(model, examples, most)
        with torch.no_grad():
            for parameter, mean, square, gradient in zip(
                parameters, means, squares, found, strict=True
            ):
                mean.mul_(0.9).add_(0.1 * gradient)
                square.mul_(0.999).add_(0.001 * gradient.square())
                size = (square / (1 - 0.999**step)).sqrt() + 1e-8
                moved = mean / (1 - 0.9**step) / size
                parameter.sub_(rate * moved + rate * decay * parameter)


@pytest.mark.parametrize(
    ("settings", "steps", "rates"),
    [
        pytest.param({}, 3, [RATE, RATE * 2 / 3, RATE / 3], id="decaying-rate"),
        pytest.param(
            {"warmup_steps": 3}, 30, [RATE / 4, RATE / 2, RATE * 3 / 4], id="warming-up-rate"
        ),
        pytest.param({"weight_decay": 10.0}, 3, [RATE, RATE * 2 / 3, RATE / 3], id="weight-decay"),
        # Adam divides a gradient's scale out again: only near its epsilon does clipping show.
        pytest.param({"gradient_clip": 1e-6}, 3, [RATE, RATE * 2 / 3, RATE / 3], id="clipping"),
    ],
)
def test_updates_equal_those_written_by_hand(
    model_directory: Path, settings: dict[str, Any], steps: int, rates: list[float]
) -> None:
    optimizer = Optimizer(
        **{"learning_rate": RATE, "warmup_steps": 0, "gradient_clip": 1e9, **settings}
    )
    ours, theirs = load(model_directory).model, load(model_directory).model
    train(ours, trained(ours), STEPS, optimizer, steps=steps, passes=Passes(4))
    update_by_hand(theirs, rates, optimizer.weight_decay, optimizer.gradient_clip)
    for name in TRAINED:
        found, expected = ours.get_parameter(name), theirs.get_parameter(name)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=RATE / 100)


def test_before_an_update_gradients_are_clipped_and_nothing_has_moved(
    model_directory: Path,
) -> None:
    ours, theirs = load(model_directory).model, load(model_directory).model
    parameters = trained(ours)
    optimizer = Optimizer(learning_rate=RATE, warmup_steps=0, gradient_clip=0.5)
    seen: list[tuple[int, list[Tensor], list[Tensor]]] = []

    def look(step: int) -> None:
        found = [parameter.grad for parameter in parameters]
        assert all(gradient is not None for gradient in found)
        gradients = [gradient.clone() for gradient in found if gradient is not None]
        seen.append((step, gradients, [parameter.detach().clone() for parameter in parameters]))

    train(ours, parameters, STEPS, optimizer, steps=3, passes=Passes(2), before_update=look)
    assert [step for step, _, _ in seen] == [1, 2, 3]
    _, first, values = seen[0]
    trained(theirs)
    for found, expected in zip(first, gradients(theirs, STEPS[0], 0.5), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    assert all(
        torch.equal(one, theirs.get_parameter(n)) for one, n in zip(values, TRAINED, strict=True)
    )
    assert not any(torch.equal(a, b) for a, b in zip(values, seen[1][2], strict=True))
