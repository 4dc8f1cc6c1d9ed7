"""Lanes on a model: what each starts from, what is shown and saved, a model given back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rankspace.errors import TrialFailed
from tests.unit.tuning.stacked.lanes import SCALE, SEED, loaded, matrices, stacked
from tuning.back_ends import ADAPTER_BACK_ENDS

UP = "model.layers.1.mlp.up_proj"
DOWN = "model.layers.1.mlp.down_proj"


@pytest.fixture
def model(model_directory: Path) -> Any:
    return loaded(model_directory)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(20)[None]).logits
    return found


def attached_alone(model: Any, ranks: dict[str, int]) -> Any:
    used = {name: rank for name, rank in ranks.items() if rank}
    return ADAPTER_BACK_ENDS["peft"].attach(model, used, alpha_per_rank=SCALE, seed=SEED)


def shake(adapter: Any, lane: int) -> None:
    with torch.no_grad():
        for pair in adapter.matrices(lane).values():
            for one in pair:
                one.add_(0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attaching_changes_no_output_and_detaching_no_bit(
    model_directory: Path, vectors: Sequence[dict[str, int]], dtype: torch.dtype
) -> None:
    model = loaded(model_directory, dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reference = logits(model)
    adapter = stacked(model, vectors[:3])
    adapter.show(1)
    assert torch.equal(logits(model), reference)
    shake(adapter, 1)
    assert not torch.equal(logits(model), reference)
    adapter.detach()
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert torch.equal(logits(model), reference)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert adapter.parameters == ()


def test_a_lane_starts_as_the_candidate_does_alone(
    model_directory: Path, model: Any, vectors: Sequence[dict[str, int]]
) -> None:
    adapter = stacked(model, vectors[:3])
    for lane in range(3):
        alone = attached_alone(loaded(model_directory), vectors[lane]).parameters
        found = matrices(adapter, lane)
        assert all(torch.equal(one, other) for one, other in zip(found, alone, strict=True))


def test_what_is_shown_is_one_lane_whoever_has_left(
    model_directory: Path, model: Any, vectors: Sequence[dict[str, int]]
) -> None:
    adapter = stacked(model, vectors[:4])
    expected = []
    for lane in range(4):
        other = loaded(model_directory)
        alone = attached_alone(other, vectors[lane])
        with torch.no_grad():
            for parameter in alone.parameters:
                parameter.add_(0.1)
        expected.append(logits(other))
        shake(adapter, lane)
    assert (expected[0] - expected[1]).abs().max() > 0.01
    for gone in (1, 3, 0):
        adapter.leave(gone)
        for lane in range(4):
            adapter.show(lane)
            assert (logits(model) - expected[lane]).abs().max() < 1e-4
    assert adapter.in_run == [2]


def test_all_lanes_answer_in_one_pass_as_each_does_shown(
    model: Any, vectors: Sequence[dict[str, int]]
) -> None:
    adapter = stacked(model, vectors[:3])
    for lane in range(3):
        shake(adapter, lane)
    with torch.no_grad():
        together = model(input_ids=torch.arange(20).repeat(3, 1)).logits
    for lane in range(3):
        adapter.show(lane)
        assert torch.allclose(logits(model)[0], together[lane], atol=1e-5)


def test_a_lane_is_saved_as_peft_saves_it_without_the_padding(
    model_directory: Path, model: Any, vectors: Sequence[dict[str, int]], tmp_path: Path
) -> None:
    adapter = stacked(model, vectors[:3])
    adapter.leave(0)
    configs, weights = [], []
    for lane in range(3):
        alone = attached_alone(loaded(model_directory), vectors[lane])
        alone.save(tmp_path / f"alone{lane}")
        adapter.save(lane, tmp_path / f"lane{lane}")
        for place in (tmp_path / f"alone{lane}", tmp_path / f"lane{lane}"):
            config = json.loads((place / "adapter_config.json").read_text())
            config["target_modules"].sort()
            configs.append(config)
            weights.append(load_file(place / "adapter_model.safetensors"))
    for lane in range(3):
        theirs, ours = weights[2 * lane : 2 * lane + 2]
        assert configs[2 * lane] == configs[2 * lane + 1]
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[key], ours[key]) for key in theirs)


def test_a_lane_without_any_rank_is_the_base_and_is_not_saved(model: Any, tmp_path: Path) -> None:
    reference = logits(model)
    adapter = stacked(model, [{UP: 2}, {UP: 0}])
    shake(adapter, 0)
    adapter.show(1)
    assert torch.equal(logits(model), reference)
    adapter.save(1, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["model.norm", "model.layers.1", "model.layers.9.mlp.up_proj"])
def test_what_is_no_linear_layer_is_refused_and_the_model_left_as_it_was(
    model: Any, name: str
) -> None:
    kinds = {place: type(module) for place, module in model.named_modules()}
    with pytest.raises(TrialFailed, match=f"{name}"):
        stacked(model, [{UP: 2}, {DOWN: 1, name: 1}])
    assert {place: type(module) for place, module in model.named_modules()} == kinds
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_who_has_left_cannot_take_another_out_of_the_run(model: Any) -> None:
    adapter = stacked(model, [{UP: 1}, {UP: 2}, {UP: 3}])
    adapter.leave(1)
    with pytest.raises(ValueError, match="not in list"):
        adapter.leave(1)
    assert sorted(adapter.in_run) == [0, 2]
