"""The tiny model and its data."""

from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    assign,
    description,
    imported_for_good,
    instruction_file,
    model_directory,
    one_thread,
    text_file,
    tokenizer,
)
