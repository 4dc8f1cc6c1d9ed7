"""The tiny model, its data and rank vectors for it."""

from pathlib import Path
from typing import Any

import pytest

from pruning.container.container import load
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    description,
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
    tokenizer,
)
from tests.unit.tuning.stacked.lanes import uneven
from tuning.examples import Example


@pytest.fixture(scope="package")
def examples(text_file: Path, tokenizer: Any) -> tuple[Example, ...]:  # noqa: F811
    """80 examples of 12 to 40 tokens, the first 1 to 6 of which are only read."""
    tokens = tokenizer(text_file.read_text()[:4000], verbose=False, return_tensors="pt")
    ids = tokens["input_ids"][0].int()
    return tuple(Example(ids[i * 40 :][: 12 + i * 7 % 29], 1 + i % 6) for i in range(80))


@pytest.fixture(scope="package")
def vectors(model_directory: Path) -> list[dict[str, int]]:  # noqa: F811
    return uneven([matrix.name for matrix in load(model_directory).description.matrices], 8)
