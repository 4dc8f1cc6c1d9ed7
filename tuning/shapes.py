"""Shape: a way to write training data that is recognised, but not read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to write them.

    Attributes:
        keys: All of which a row of it has.
        name: What it is called, after "is".
        fix: How to make rows of instruction and output of it; ``FILE`` stands for the file's name.
    """

    keys: tuple[str, ...]
    name: str
    fix: str


def _by_jq(program: str) -> str:
    return f"convert it: jq -c '{program}' FILE > train.jsonl"


def _renamed(instruction: str, output: str, given: str = '""') -> str:
    return _by_jq(f"{{instruction: {instruction}, input: {given}, output: {output}}}")


def _first_turns(turns: str, who: str, what: str, names: tuple[str, str]) -> str:
    asks, answers = (f'(map(select(.{who} == "{name}"))[0].{what})' for name in names)
    return _by_jq(f'.{turns} | {{instruction: {asks}, input: "", output: {answers}}}')


ARRAY = Shape((), "one JSON array, not a row on every line", _by_jq(".[]"))
DOCUMENT = Shape((), "JSON written over several lines, not a row on every line", _by_jq("."))
LINES = Shape((), "JSON lines", "")
"""The only one of these three that is read."""

SHAPES = (
    Shape(
        ("conversations",),
        "a conversation (ShareGPT), not an instruction and its output",
        _first_turns("conversations", "from", "value", ("human", "gpt")),
    ),
    Shape(
        ("messages",),
        "a list of chat messages, not an instruction and its output",
        _first_turns("messages", "role", "content", ("user", "assistant")),
    ),
    Shape(
        ("instruction", "response"),
        "an instruction with a response, not with an output",
        _renamed(".instruction", ".response", '(.context // "")'),
    ),
    *(
        Shape(
            (asked, answered),
            f"a row of {asked} and {answered}, not of instruction and output",
            _renamed(f".{asked}", f".{answered}"),
        )
        for asked, answered in (
            ("prompt", "completion"),
            ("prompt", "response"),
            ("prompt", "chosen"),
            ("question", "answer"),
            ("query", "response"),
        )
    ),
    Shape(
        ("text",),
        "a row of plain text, not an instruction and its output",
        "set recipe.data.format: text, which reads the text of such rows",
    ),
)


def shape_of(row: Mapping[str, Any]) -> Shape | None:
    """Return the shape of ``SHAPES`` that ``row`` has, or None."""
    return next((shape for shape in SHAPES if all(key in row for key in shape.keys)), None)
