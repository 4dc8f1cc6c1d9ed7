"""A linear layer of two thin matrices."""

import pytest
import torch
from peft import get_peft_model
from torch.nn.functional import linear

from tuning.factored.linear import FactoredLinear, input_gradient
from tuning.peft_back_end import lora_config


@pytest.fixture
def layer() -> FactoredLinear:
    torch.manual_seed(0)
    return FactoredLinear(torch.randn(6, 2), torch.randn(2, 5), torch.randn(6))


def test_it_computes_the_product_and_has_the_weights_of_its_parts(layer: FactoredLinear) -> None:
    x = torch.randn(3, 4, 5)
    expected = linear(x, torch.einsum("ok,ki->oi", layer.left, layer.right), layer.bias)
    torch.testing.assert_close(layer(x), expected)
    assert (layer.out_features, layer.in_features, layer.rank) == (6, 5, 2)
    shapes = {name: tuple(tensor.shape) for name, tensor in layer.named_parameters()}
    assert shapes == {"left": (6, 2), "right": (2, 5), "bias": (6,)}
    assert not any(tensor.requires_grad for tensor in layer.parameters())
    assert "rank=2" in repr(layer)


def test_the_gradient_of_what_it_reads_is_that_of_the_formula(layer: FactoredLinear) -> None:
    x, above = torch.randn(3, 5, requires_grad=True), torch.randn(3, 6)
    (expected,) = torch.autograd.grad((layer(x) * above).sum(), (x,))
    torch.testing.assert_close(input_gradient(layer, above), expected)
    torch.testing.assert_close(expected, above @ layer.weight.clone())


def test_the_whole_matrix_cannot_be_written_to(layer: FactoredLinear) -> None:
    """It is made anew each time: what were added would be lost, and nobody told."""
    with pytest.raises(RuntimeError, match="inference tensor"):
        layer.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="multiply_out"):
        layer.weight.data += 1.0
    assert type(layer.weight @ torch.ones(5)) is torch.Tensor


def test_peft_merges_nothing_into_it_in_silence(layer: FactoredLinear) -> None:
    model = torch.nn.ModuleDict({"matrix": layer})
    config = lora_config({"matrix": 2}, 2.0)
    config.task_type = None
    wrapped = get_peft_model(model, config)
    torch.nn.init.ones_(wrapped.get_parameter("base_model.model.matrix.lora_B.default.weight"))
    with pytest.raises(RuntimeError, match="multiply_out"):
        wrapped.merge_and_unload()
