"""The real pretrained stories260k: 5 blocks, 8 heads on 4 key/value heads, tied embedding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from pruning.container import container
from pruning.container.container import LoadedModel
from pruning.methods.compression import compress
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.gradients import next_token_loss
from pruning.profiling.profile import profile

pytestmark = pytest.mark.slow

MIDDLE = (1, 2, 3)


@pytest.fixture
def dense(stories: Path) -> LoadedModel:
    return container.load(stories)


@pytest.fixture
def windows(dense: LoadedModel, stories: Path) -> torch.Tensor:
    return draw_windows(CalibrationText(stories / "sample.txt", 100, 128, seed=7), dense.tokenizer)


@torch.no_grad()
def loss(loaded: LoadedModel, windows: torch.Tensor) -> float:
    return float(next_token_loss(loaded.model, windows))


def prune(stories: Path, target: Path, method: PrunerName) -> LoadedModel:
    settings = PruningSettings(MIDDLE, 0.5, method)
    compress(stories, target, settings, CalibrationText(stories / "sample.txt"))
    return container.load(target)


@torch.no_grad()
def test_it_loads_exactly_as_transformers_does(
    dense: LoadedModel, stories: Path, windows: torch.Tensor
) -> None:
    expected = AutoModelForCausalLM.from_pretrained(stories)
    assert torch.equal(dense.model(windows).logits, expected(windows).logits)
    assert dense.description.parameters == 260_032


def test_half_of_three_blocks_costs_about_two_nats(
    dense: LoadedModel, stories: Path, windows: torch.Tensor, tmp_path: Path
) -> None:
    assert loss(dense, windows) == pytest.approx(1.51, abs=0.03)
    pruned = prune(stories, tmp_path / "c", PrunerName.TAYLOR)
    assert 3.0 < loss(pruned, windows) < 3.7
    sizes = {(b.heads, b.kv_heads, b.ffn) for b in pruned.structure.blocks[1:4]}
    assert sizes == {(4, 2, 86)}


def test_taylor_beats_the_controls(stories: Path, windows: torch.Tensor, tmp_path: Path) -> None:
    names = (PrunerName.TAYLOR, PrunerName.MAGNITUDE, PrunerName.RANDOM)
    taylor, *controls = (loss(prune(stories, tmp_path / name, name), windows) for name in names)
    assert taylor < min(controls)


def test_a_pruned_model_still_writes(stories: Path, tmp_path: Path) -> None:
    pruned = prune(stories, tmp_path / "c", PrunerName.TAYLOR)
    model: Any = pruned.model
    prompt: Any = pruned.tokenizer("Once upon a time", return_tensors="pt")
    written = model.generate(prompt.input_ids, max_new_tokens=20, min_new_tokens=20)
    assert written.shape == (1, prompt.input_ids.shape[1] + 20)


def test_damage_grows_with_depth(
    dense: LoadedModel, stories: Path, windows: torch.Tensor, tmp_path: Path
) -> None:
    pruned = prune(stories, tmp_path / "c", PrunerName.TAYLOR)
    profiles = profile(pruned, windows[:10], dense)
    errors = [entry.reconstruction_error or 0.0 for entry in profiles[::7]]
    assert errors[0] == 0.0
    assert errors == sorted(errors)
    described = container.write_profiles(tmp_path / "c", profiles)
    assert described.fingerprint == pruned.description.fingerprint
    assert described.profiles == profiles
