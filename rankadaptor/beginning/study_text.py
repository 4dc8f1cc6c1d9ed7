"""The text of a study file: what was chosen, with the reasons as comments."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import yaml

from rankadaptor.beginning.choice import Choice
from rankadaptor.screen import plain

WIDTH = 100

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "recipe": "How the model is fine-tuned, in short trials and in the recovery",
        "search": "Where to look for ranks, and at what price",
        "verify": "How the winner is judged",
        "recover": "What is done with the winner",
    }
)
"""What a group of the file is about."""


def study_text(head: Sequence[str], choices: Iterable[Choice]) -> str:
    """Write what was chosen as YAML.

    Args:
        head: Paragraphs of a comment at the top.
        choices: Those of a group one after another.
    """
    lines = [line for paragraph in head for line in (*_comment(paragraph, 0), "#")][:-1]
    lines.append("")
    above: list[str] | None = None
    for choice in choices:
        *parents, name = choice.field.split(".")
        lines.extend(_groups(above or [], parents))
        if parents == above or (above and len(parents) < len(above)):
            lines.append("")
        above = parents
        lines.extend(_entry(choice, name, 2 * len(parents)))
    return "\n".join(lines) + "\n"


def _groups(before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """Yield the names of groups that begin between two fields."""
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    for depth, name in enumerate(now[same:], same):
        if depth == same:
            yield ""
        if depth == 0 and name in SECTIONS:
            yield f"# ---- {SECTIONS[name]}"
        yield f"{' ' * 2 * depth}{name}:"


def _entry(choice: Choice, name: str, indent: int) -> Iterator[str]:
    yield from _comment(choice.why, indent)
    space = " " * indent
    if choice.value is not None:
        yield f"{space}{name}: {flow(choice.value)}"
    for other in choice.instead:
        line = f"{space}# {name}: {flow(other.value)}"
        whole = f"{line}  # {other.why}"
        if len(whole) <= WIDTH:
            yield whole
        else:
            yield from _comment(f"{other.why}:", indent)
            yield line


def _comment(text: str, indent: int) -> list[str]:
    """A paragraph as comment lines; what others named files like ends no line."""
    begin = f"{' ' * indent}# "
    return textwrap.wrap(
        plain(" ".join(text.split())),
        WIDTH,
        initial_indent=begin,
        subsequent_indent=begin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def flow(value: Any) -> str:
    """Return ``value`` as YAML on one line."""
    if isinstance(value, str) and not value.isprintable():
        return json.dumps(value)
    text: str = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf")
    )
    return text.strip().removesuffix("...").strip()
