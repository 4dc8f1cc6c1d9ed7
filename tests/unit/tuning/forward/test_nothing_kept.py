"""A step waits for the device once, and masks are those of a pass without a cache."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from bench.gpu.checks import Waits
from pruning.container.architecture import FAMILIES
from pruning.container.container import load
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import Passes
from tuning.examples import Example
from tuning.forward.nothing_kept import NothingKept
from tuning.training import train

RANKS = {"model.layers.0.self_attn.q_proj": 2, "model.layers.2.mlp.down_proj": 3}


@pytest.mark.parametrize("back_end", ADAPTER_BACK_ENDS)
def test_a_step_waits_once_however_many_passes_it_has(model_directory: Path, back_end: str) -> None:
    """What a CPU can show: no number is asked for. Copies and allocations only a GPU tells of."""
    model: Any = load(model_directory).model
    adapter = ADAPTER_BACK_ENDS[back_end].attach(model, RANKS, alpha_per_rank=2.0, seed=0)
    ids = torch.arange(60, dtype=torch.int32).view(6, 10)
    examples = [Example(row[: 10 - at], 2) for at, row in enumerate(ids)]
    with Waits() as waits:
        train(
            model,
            adapter.parameters,
            [examples, examples[:3]],
            Optimizer(),
            steps=2,
            passes=Passes(2),
        )
    assert waits.count == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pass_that_keeps_nothing_is_that_of_no_cache_at_all(name: str) -> None:
    """Of texts longer than a sliding window, where a family has one."""
    kind: Any = CONFIG_MAPPING[FAMILIES[name].model_type]
    known = kind(pad_token_id=0, eos_token_id=1, bos_token_id=2).to_dict()
    config = kind(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        **({"sliding_window": 8} if "sliding_window" in known else {}),
    )
    torch.manual_seed(0)
    make: Any = AutoModelForCausalLM.from_config
    decoder = make(config).eval().get_decoder()
    ids = torch.randint(64, (3, 16))
    with Waits() as waits:
        plain = decoder(input_ids=ids, use_cache=False).last_hidden_state
    assert waits.count  # else there is nothing to be had by keeping nothing
    with Waits() as waits:
        found = decoder(input_ids=ids, use_cache=False, past_key_values=NothingKept())
    assert waits.count == 0
    assert torch.equal(found.last_hidden_state, plain)
