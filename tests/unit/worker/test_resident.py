"""The base model: in the type the recipe names, kept while it fits, and seen when it changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rankspace import Assignment
from rankspace.recipe import Data, Recipe
from worker.trial.resident import Residence, Resident, base_dtype

CPU = torch.device("cpu")


def test_a_model_is_loaded_in_the_type_of_the_recipe_and_kept(
    assign: Callable[..., Assignment],
) -> None:
    residence = Residence(CPU)
    recipe = assign().recipe
    narrow = residence.resident(assign(recipe=replace(recipe, dtype="bfloat16")))
    assert {parameter.dtype for parameter in narrow.model.parameters()} == {torch.bfloat16}
    wide = residence.resident(assign(recipe=replace(recipe, dtype="float32")))
    assert {parameter.dtype for parameter in wide.model.parameters()} == {torch.float32}
    assert residence.resident(assign(recipe=recipe)) is wide


@pytest.mark.parametrize(
    ("named", "device", "expected"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("float32", "cuda", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
    ],
)
def test_only_auto_depends_on_the_device(named: Any, device: str, expected: torch.dtype) -> None:
    recipe = Recipe(Data("t.txt"), dtype=named)
    assert base_dtype(recipe, torch.device(device)) is expected


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_change_of_a_256th_of_a_tensor_is_seen_wherever_it_lies(
    model_directory: Path, part: float
) -> None:
    resident = Resident(model_directory, torch.float32, CPU)
    assert resident.changed() == []
    for name, tensor in resident.model.named_parameters():
        flat = tensor.flatten()
        width = max(1, len(flat) // 256)
        start = int(part * (len(flat) - width))
        changed = flat[start : start + width]
        before = changed.clone()
        changed += 1e-3
        assert resident.changed() == [name]
        changed.copy_(before)
    assert resident.changed() == []
