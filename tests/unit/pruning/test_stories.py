"""The real pretrained stories260k: 5 blocks, 8 heads on 4 key/value heads, tied embedding."""

import shutil
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
from pruning.profiling.dense_outputs import dense_outputs
from pruning.profiling.gradients import next_token_loss
from pruning.profiling.profile import profile

pytestmark = pytest.mark.slow

MIDDLE = (1, 2, 3)


@pytest.fixture(scope="module")
def dense(stories: Path) -> LoadedModel:
    return container.load(stories)


@pytest.fixture(scope="module")
def taylor(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("stories") / "c"
    _compress(stories, target, PrunerName.TAYLOR)
    return target


@pytest.fixture
def pruned(taylor: Path) -> LoadedModel:
    return container.load(taylor)


@pytest.fixture(scope="module")
def windows(dense: LoadedModel, stories: Path) -> torch.Tensor:
    return draw_windows(CalibrationText(stories / "sample.txt", 100, 128, seed=7), dense.tokenizer)


@torch.no_grad()
def loss(loaded: LoadedModel, windows: torch.Tensor) -> float:
    return float(next_token_loss(loaded.model, windows))


def _compress(stories: Path, target: Path, method: PrunerName) -> None:
    settings = PruningSettings(MIDDLE, 0.5, method)
    compress(stories, target, settings, CalibrationText(stories / "sample.txt"))


@torch.no_grad()
def test_it_loads_exactly_as_transformers_does(
    dense: LoadedModel, stories: Path, windows: torch.Tensor
) -> None:
    expected = AutoModelForCausalLM.from_pretrained(stories)
    assert torch.equal(dense.model(windows).logits, expected(windows).logits)
    assert dense.description.parameters == 260_032


def test_half_of_three_blocks_costs_about_two_nats(
    dense: LoadedModel, pruned: LoadedModel, windows: torch.Tensor
) -> None:
    assert loss(dense, windows) == pytest.approx(1.51, abs=0.03)
    assert 3.0 < loss(pruned, windows) < 3.7
    sizes = {(b.heads, b.kv_heads, b.ffn) for b in pruned.structure.blocks[1:4]}
    assert sizes == {(4, 2, 86)}


def test_taylor_beats_the_controls(
    stories: Path, pruned: LoadedModel, windows: torch.Tensor, tmp_path: Path
) -> None:
    for control in (PrunerName.MAGNITUDE, PrunerName.RANDOM):
        _compress(stories, tmp_path / control, control)
        assert loss(pruned, windows) < loss(container.load(tmp_path / control), windows)


def test_a_pruned_model_still_writes(pruned: LoadedModel) -> None:
    model: Any = pruned.model
    prompt: Any = pruned.tokenizer("Once upon a time", return_tensors="pt")
    written = model.generate(prompt.input_ids, max_new_tokens=20, min_new_tokens=20)
    assert written.shape == (1, prompt.input_ids.shape[1] + 20)


def test_damage_grows_with_depth(
    dense: LoadedModel, pruned: LoadedModel, taylor: Path, windows: torch.Tensor, tmp_path: Path
) -> None:
    with dense_outputs(lambda: dense, windows[:10]) as outputs:
        profiles = profile(pruned, windows[:10], outputs)
    errors = [entry.reconstruction_error or 0.0 for entry in profiles[::7]]
    assert errors[0] == 0.0
    assert errors == sorted(errors)
    copy = shutil.copytree(taylor, tmp_path / "c")
    described = container.write_profiles(copy, profiles)
    assert described.fingerprint == pruned.description.fingerprint
    assert described.profiles == profiles
