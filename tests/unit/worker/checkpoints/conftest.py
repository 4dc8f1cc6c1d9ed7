"""Fixtures of the tests of checkpoints."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rankspace import Assignment
from rankspace.recipe import Batch, Optimizer
from rankspace.trial import Purpose, Split

Assign = Callable[..., Assignment]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def recovery(assign: Assign) -> Assignment:
    """10 steps of two passes each, half of them in the warm-up."""
    recipe = replace(
        assign().recipe,
        batch=Batch(examples=8, micro=4),
        optimizer=Optimizer(learning_rate=1e-2, warmup_steps=5, weight_decay=0.1),
    )
    long = assign(purpose=Purpose.RECOVER, recipe=recipe, steps=10, split=Split.FINAL)
    return replace(long, keep_adapter=True)
