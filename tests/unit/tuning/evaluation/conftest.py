"""The pretrained stories260k and its tokenizer, where it lies at hand."""

from pathlib import Path
from typing import Any

import pytest

from pruning.container.container import LoadedModel, load

DATA = Path(__file__).parents[4].parent / "shared" / "data"
STORIES = DATA / "stories260k"


@pytest.fixture(scope="session")
def stories() -> LoadedModel:
    if not STORIES.is_dir():
        pytest.skip(f"no model in {STORIES}")
    return load(STORIES)


@pytest.fixture(scope="session")
def model(stories: LoadedModel) -> Any:
    return stories.model


@pytest.fixture(scope="session")
def pieces(stories: LoadedModel) -> Any:
    """Its tokenizer: pieces of words, with a space put in front of a text."""
    return stories.tokenizer
