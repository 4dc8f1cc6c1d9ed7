"""A model of two blocks whose query heads share key/value heads, and a text for it."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from tests.unit.pruning.conftest import SIZES

WINDOWS = torch.arange(8 * 12).view(8, 12) * 37 % 256


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(3)
    made: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 2}))
    made.get_parameter("lm_head.weight").data.mul_(30)  # gradients as large as the weights
    for block in blocks_of(made):
        for kind in ("up_proj", "v_proj"):
            matrix = matrix_of(block, kind)
            matrix.weight.data.mul_(torch.rand(matrix.out_features, 1) * 40)
    made.requires_grad_(False)
    made.train(False)
    return made
