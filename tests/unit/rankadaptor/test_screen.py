"""What others wrote is printed as text and steers no terminal."""

from io import StringIO

import pytest
from rich.table import Table
from rich.text import Text

from rankadaptor.commands.workers import _table
from rankadaptor.screen import Screen, plain

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\x00"


@pytest.mark.parametrize("text", ["", "plain", "größer 模型\n\tand on"])
def test_text_is_left_alone(text: str) -> None:
    assert plain(text) == text


def _printed(renderable: object) -> str:
    file = StringIO()
    Screen(file=file, width=100, force_terminal=True, color_system=None).print(renderable)
    return file.getvalue()


def test_no_control_code_of_a_worker_reaches_the_terminal() -> None:
    table = Table("name")
    table.add_row(Text(NASTY, style="red"))
    worker = {"name": NASTY, "project": "x", "last_seen": NASTY, "quarantine_reason": NASTY}
    for shown in (NASTY, Text(NASTY), table, _table([worker])):
        printed = _printed(shown)
        assert "owned" in printed
        assert not [c for c in printed if not c.isprintable() and c != "\n"]


def test_colours_are_still_printed() -> None:
    file = StringIO()
    screen = Screen(file=file, force_terminal=True, color_system="standard")
    screen.print(Text("red", style="red"))
    assert file.getvalue() == "\x1b[31mred\x1b[0m\n"
