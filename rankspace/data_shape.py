"""Shapes of training data: what a recipe may ask for, and what is found in a file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

DataFormat: TypeAlias = Literal["instruction", "text", "completion", "chat"]
"""What ``recipe.data.format`` may be."""

ShapeName: TypeAlias = Literal[
    "alpaca", "dolly", "prompt-completion", "messages", "sharegpt", "text-rows", "text"
]
"""What the rows of a file may be recognised as."""

OLD_FORMATS: tuple[DataFormat, ...] = ("instruction", "text")
"""Those that workers of before lease protocol 6 know."""

SHAPES: Mapping[ShapeName, str] = MappingProxyType(
    {
        "alpaca": "rows of instruction, input and output (Alpaca)",
        "dolly": "rows of instruction, context and response (Dolly)",
        "prompt-completion": "rows of prompt and completion",
        "messages": "conversations (messages)",
        "sharegpt": "conversations (ShareGPT)",
        "text-rows": "windows of the texts of rows",
        "text": "windows of plain text",
    }
)
"""What each is called before a person, after a count."""
