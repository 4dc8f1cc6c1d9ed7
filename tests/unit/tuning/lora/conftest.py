"""The tiny model and its data."""

from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    description,
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
    tokenizer,
)
