import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from pruning.container import container
from pruning.publishing.adapter import read_adapter, write_flat
from rankspace.errors import InvalidInput
from rankspace.lease import CONFIG, NOTE, WEIGHTS
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


MATRIX = "model.layers.0.self_attn.q_proj"
ESCAPED = r"model\.layers\.0\.self_attn\.q_proj"


def sides(matrix: str = MATRIX, rank: int = 2) -> dict[str, torch.Tensor]:
    name = f"base_model.model.{matrix}"
    first, second = torch.ones(rank, 8), torch.ones(8, rank)
    return {f"{name}.lora_A.weight": first, f"{name}.lora_B.weight": second}


def written(
    directory: Path, config: Mapping[str, Any], tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    save_file(sides() if tensors is None else tensors, directory / WEIGHTS)
    told = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}
    (directory / CONFIG).write_text(json.dumps(told))
    return directory


def test_patterns_are_full_names(tmp_path: Path) -> None:
    patterns = {"rank_pattern": {ESCAPED: 2}, "alpha_pattern": {ESCAPED: 6}, "r": 9}
    assert read_adapter(written(tmp_path, patterns))[MATRIX].scale == 3.0


@pytest.mark.parametrize(
    "config",
    [
        {"rank_pattern": {"(": 2}},
        {"rank_pattern": {"(.*.*)*(.*.*)*x!": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"alora_invocation_tokens": [1, 2]},
        {"a_field_of_tomorrow": "on"},
        {"init_lora_weights": "pissa_niter_4"},
        {"r": True},
        {"lora_alpha": None},
        {"lora_alpha": 10**400},
        {"lora_alpha": float("nan")},
    ],
    ids=str,
)
def test_a_config_of_another_kind_is_named(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=CONFIG):
        read_adapter(written(tmp_path, config))


@pytest.mark.parametrize(
    "tensors",
    [
        sides("model.layers.0"),
        sides("lm_head"),
        sides("model.layers.0.mlp.q_proj"),
        {name: tensor.int() for name, tensor in sides().items()},
        {name: tensor.to(torch.complex64) for name, tensor in sides().items()},
        {name: tensor.to(torch.float8_e4m3fn) for name, tensor in sides().items()},
    ],
    ids=["block", "head", "no such matrix", "integers", "complex", "float8"],
)
def test_weights_of_another_kind_are_named(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=WEIGHTS):
        read_adapter(written(tmp_path, {}, tensors))


def test_a_rank_of_zero_has_no_scale(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="1 or more"):
        read_adapter(written(tmp_path, {"r": 0}, sides(rank=0)))


def test_half_an_adapter_is_named(tmp_path: Path) -> None:
    (written(tmp_path, {}) / CONFIG).unlink()
    with pytest.raises(InvalidInput, match="is no file"):
        read_adapter(tmp_path)


def test_an_alpha_of_zero_cannot_be_flattened(tmp_path: Path) -> None:
    adapter = read_adapter(written(tmp_path, {"lora_alpha": 0}))
    with pytest.raises(InvalidInput, match="no scale"):
        write_flat(adapter, tmp_path)


def test_the_note_of_a_flat_adapter_takes_back_its_alphas(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text("alpha = 2 x rank everywhere.\n")
    write_flat(read_adapter(written(tmp_path, {})), tmp_path)
    assert "one alpha, 4, serves every matrix" in (tmp_path / NOTE).read_text()
