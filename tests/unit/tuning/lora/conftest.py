"""The tiny model, whole and with factored matrices, and its data."""

from pathlib import Path

import pytest

from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    description,
    factored,
    imported_for_good,
    one_thread,
    text_file,
    tokenizer,
)


@pytest.fixture(scope="session", params=["whole", "factored"])
def model_directory(
    request: pytest.FixtureRequest, model_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "whole":
        return model_directory
    return factored(model_directory, tmp_path_factory.mktemp("factored") / "c")
