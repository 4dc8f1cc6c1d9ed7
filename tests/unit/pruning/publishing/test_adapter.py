import json
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from pruning.container import container
from pruning.publishing.adapter import read_adapter, write_flat
from rankspace.lease import CONFIG, WEIGHTS
from tests.unit.pruning.publishing.conftest import ALPHA_PER_RANK, Recovered, logits_of


def test_every_rank_has_the_scale_it_was_trained_with(uneven: Recovered) -> None:
    adapter = read_adapter(uneven.adapter)
    assert {low.rank for low in adapter.values()} == {1, 2, 3}
    assert {low.scale for low in adapter.values()} == {ALPHA_PER_RANK}


def test_one_alpha_divided_by_each_rank_gives_the_same_changes(uneven: Recovered) -> None:
    before = read_adapter(uneven.adapter)
    write_flat(before, uneven.adapter)
    alpha = json.loads((uneven.adapter / CONFIG).read_text())["lora_alpha"]
    tensors = load_file(uneven.adapter / WEIGHTS)
    for name, low in before.items():
        first, second = (tensors[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
        change = alpha / first.shape[0] * (second @ first)  # as llama.cpp does
        torch.testing.assert_close(change, low.change(), rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_peft_reads_the_flat_adapter_as_the_other(uneven: Recovered) -> None:
    write_flat(read_adapter(uneven.adapter), uneven.adapter)
    model: Any = PeftModel.from_pretrained(container.load(uneven.source).model, str(uneven.adapter))
    torch.testing.assert_close(logits_of(model), uneven.logits, rtol=0.0, atol=2e-4)


def test_our_adapter_has_one_scale_for_engines_that_know_no_patterns(uneven: Recovered) -> None:
    """vLLM divides lora_alpha by r, whatever the matrix."""
    config = json.loads((uneven.adapter / CONFIG).read_text())
    assert config["lora_alpha"] / config["r"] == ALPHA_PER_RANK
    assert config["r"] == 3
