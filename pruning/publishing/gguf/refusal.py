"""Refusal: what a tokenizer asks for and llama.cpp would do otherwise."""

from typing import Any

from rankspace.errors import InvalidInput

_FIX = "use --format merged or container, whose programs read tokenizer.json itself"


def refusal(field: str, value: Any, problem: str) -> InvalidInput:
    """Return the error of one field of ``tokenizer.json``."""
    return InvalidInput(f"tokenizer.json: {field}", value, problem, fix=_FIX)
