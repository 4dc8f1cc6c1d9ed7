"""Masks do what removal would, and stay."""

import copy

import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_structure
from pruning.methods.change import Cut, apply
from pruning.methods.importance import Importance
from pruning.methods.loraprune.masks import Masks
from pruning.methods.surgery import Kept
from tests.unit.pruning.methods.loraprune.conftest import WINDOWS


@torch.no_grad()
def logits(model: PreTrainedModel) -> torch.Tensor:
    found: torch.Tensor = model(input_ids=WINDOWS).logits
    return found


def test_a_masked_model_computes_what_the_sliced_one_does(prunable: PreTrainedModel) -> None:
    """Of every family, with biases and norms of heads."""
    masks, dense = Masks(prunable, (0, 2)), logits(prunable)
    for index in (0, 2):
        torch.manual_seed(index)
        masks.grow(index, Importance(torch.rand(4), torch.rand(24)), 1 + index // 2, 7)
    with masks.put_on():
        masked = logits(prunable)
    assert torch.equal(logits(prunable), dense)
    sliced = copy.deepcopy(prunable)
    apply(sliced, Cut(masks.kept))
    torch.testing.assert_close(masked, logits(sliced), rtol=0, atol=1e-5)
    assert not torch.allclose(masked, dense, atol=1e-3)
    sizes = [(block.kv_heads, block.ffn) for block in read_structure(sliced, (0, 1, 2)).blocks]
    assert sizes == [(3, 17), (4, 24), (2, 17)]


def test_the_lowest_go_first_and_never_come_back(model: PreTrainedModel) -> None:
    masks = Masks(model, (1,))
    rising = Importance(torch.arange(4.0), torch.arange(24.0))
    masks.grow(1, rising, 1, 2)
    assert masks.kept == {1: Kept((2, 3, 4, 5, 6, 7), (1, 2, 3), tuple(range(2, 24)))}
    falling = Importance(-torch.arange(4.0), -torch.arange(24.0))
    masks.grow(1, falling, 2, 3)
    assert masks.kept == {1: Kept((2, 3, 4, 5), (1, 2), tuple(range(2, 23)))}
    masks.grow(1, Importance(torch.zeros(4), torch.zeros(24)), 2, 3)
    assert masks.kept == {1: Kept((2, 3, 4, 5), (1, 2), tuple(range(2, 23)))}


def test_nothing_reaches_what_is_masked(model: PreTrainedModel) -> None:
    """No gradient does, so that an adapter learns nothing there."""
    masks = Masks(model, (0,))
    masks.grow(0, Importance(torch.arange(4.0), torch.arange(24.0)), 2, 8)
    up = matrix_of(blocks_of(model)[0], "up_proj").weight.requires_grad_(True)
    with masks.put_on():
        model(input_ids=WINDOWS, labels=WINDOWS).loss.backward()
    assert up.grad is not None
    assert not up.grad[:8].any()
    assert up.grad[8:].any(dim=1).all()
