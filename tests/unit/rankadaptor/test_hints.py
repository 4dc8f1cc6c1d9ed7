"""What is advised anywhere in the product is a command that there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from rankadaptor import cli

ROOT = Path(__file__).parents[3]
PRODUCT = ["rankadaptor", "rankspace", "tuning", "perfmodel", "pruning", "service", "worker"]
FILES = [path for room in PRODUCT for path in sorted((ROOT / room).rglob("*.py"))]
SAID = re.compile(r"\brankadaptor ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
PROSE = frozenset({"finds", "does", "offline", "on", "stop", "that"})
"""What follows the program's name where a sentence speaks of it."""


def advised() -> Iterator[tuple[str, str, str]]:
    """Yield every command that a text names: where, and its two words."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for first, second in SAID.findall(" ".join(node.value.split())):
                    if first not in PROSE:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", first, second


@pytest.fixture(scope="module")
def commands() -> dict[str, frozenset[str]]:
    """The names of all commands, and of those below each group."""
    found = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        found[name] = frozenset(getattr(command, "commands", ()))
    return found


def test_no_hint_names_a_command_that_does_not_exist(
    commands: dict[str, frozenset[str]],
) -> None:
    found = list(advised())
    assert {"profile", "adopt", "keys", "worker"} <= {first for _, first, _ in found}
    wrong = [
        (place, first, second)
        for place, first, second in found
        if first not in commands or (commands[first] and second and second not in commands[first])
    ]
    assert wrong == []
