"""How long a sequence a model is made for, and what is refused beyond it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.container.architecture import check_positions, positions
from pruning.container.container import LoadedModel
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from pruning.profiling.profile import profile
from rankspace.errors import InvalidInput

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"max_position_embeddings": 512, "rope_scaling": None}, 512),
        ({"max_position_embeddings": 512, "rope_parameters": {"rope_theta": 1e4}}, 512),
        ({"max_position_embeddings": 131072, "rope_parameters": LLAMA3}, 131072),
        ({"max_position_embeddings": 4096, "rope_scaling": {"factor": 4, "type": "linear"}}, 16384),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
        (
            {
                "model_type": "gemma3_text",
                "max_position_embeddings": 131072,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
            131072,
        ),
        ({"max_position_embeddings": 512, "rope_scaling": {"factor": True}}, 512),
        ({"max_position_embeddings": 512, "rope_scaling": {"factor": 1e300}}, 512),
        ({"max_position_embeddings": 512, "rope_scaling": "x"}, 512),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": "512"}, None),
        ({}, None),
    ],
)
def test_the_config_says_how_long(config: dict[str, Any], most: int | None) -> None:
    assert positions(config) == most
    if most is not None:
        check_positions("length", most, config)
        with pytest.raises(InvalidInput, match=f"length = {most + 1}: .*{most:,} tokens"):
            check_positions("length", most + 1, config)


def test_nothing_is_compressed_with_longer_windows(plain: Path, text: Path, tmp_path: Path) -> None:
    calibration = CalibrationText(text, 2, 129)
    with pytest.raises(InvalidInput, match="length = 129: the model is made for 128 tokens"):
        compress(plain, tmp_path / "a", PruningSettings((1,)), calibration)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ((PruningSettings((7,)), {"samples": 2}), "blocks"),
        ((PruningSettings((1,)), {"length": 129}), "length"),
        ((PruningSettings((1,), 0.001), {"samples": 2}), "ratio"),
        ((PruningSettings((1,)), {"samples": 10_000}), "calibration.text"),
    ],
)
def test_what_cannot_be_is_said_before_weights_are_read(
    asked: tuple[PruningSettings, dict[str, int]],
    field: str,
    plain: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loads(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("pruning.methods.compression.load_contents", loads)
    settings, calibration = asked
    with pytest.raises(InvalidInput) as caught:
        compress(plain, tmp_path / "a", settings, CalibrationText(text, **calibration))
    assert caught.value.field == field


def test_nothing_is_profiled_with_longer_windows(loaded: LoadedModel) -> None:
    with pytest.raises(InvalidInput, match="length = 129"):
        profile(loaded, torch.zeros((1, 129), dtype=torch.int64))
