"""What others wrote is printed as text and steers no terminal."""

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import typer
from rich.console import Group
from rich.markup import render
from rich.table import Table
from rich.text import Text

from rankadaptor import cli
from rankadaptor.commands import keys, submit
from rankadaptor.commands.workers import _table
from rankadaptor.insight_view import noise_words
from rankadaptor.rank_map import rank_map
from rankadaptor.screen import Screen, plain
from rankadaptor.study_view import studies_table, study_details
from rankspace import Layer, RankVector, SearchSpace
from rankspace.calibration import Noise

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\x00"


@pytest.mark.parametrize("text", ["", "plain", "größer 模型\n\tand on"])
def test_text_is_left_alone(text: str) -> None:
    assert plain(text) == text


def _printed(renderable: object, color_system: str | None = None) -> str:
    file = StringIO()
    Screen(file=file, width=1000, force_terminal=True, color_system=color_system).print(renderable)
    return file.getvalue()


def test_no_control_code_of_a_worker_reaches_the_terminal() -> None:
    table = Table("name")
    table.add_row(Text(NASTY, style="red"))
    worker = {"name": NASTY, "project": "x", "last_seen": NASTY, "quarantine_reason": NASTY}
    for shown in (NASTY, Text(NASTY), table, _table([worker])):
        printed = _printed(shown)
        assert "owned" in printed
        assert not [c for c in printed if not c.isprintable() and c != "\n"]


_COLOURS = re.compile("\x1b\\[[0-9;]*m")
MARKUP = "[link=file:///x\x1b]0;owned\x07]a[/link] [red]b[/red] :smile: [/x]"


def _study(text: str) -> dict[str, Any]:
    """A view whose every text is ``text``."""
    counts = dict.fromkeys(("done", "failed", "running", "queued", "planned"), 1)
    return {
        "id": text,
        "name": text,
        "state": text,
        "error": text,
        "best": None,
        "eta_seconds": None,
        "uniform_score": None,
        "workers_active": 1,
        "progress": {"search": counts},
    }


@pytest.mark.parametrize("text", [NASTY, MARKUP, "\x1b]8;;http://x\x1b\\\\y"])
def test_what_a_service_says_is_neither_markup_nor_control(text: str) -> None:
    day = {"revoked_at": text, "expires_at": text, "last_used_at": text}
    names = dict.fromkeys(("id", "role", "project", "name", "worker"), text)
    study = _study(text)
    space = SearchSpace((Layer("a", 1, 0, text),), (1, 2), 2)
    shown = {
        "studies": studies_table([study]),
        "study": study_details(study),
        "keys": keys._table([{**names, **day}]),
        "join tokens": keys._tokens([{**names, **day, "uses_left": text}]),
        "next steps": submit._next_steps(text),
        "noise": Group("", noise_words(Noise(1.0, 0.5, 2.0, text))),
        "ranks": rank_map(space, RankVector((1,)), "ranks"),
        "a line": text,
    }
    for where, renderable in shown.items():
        printed = _COLOURS.sub("", _printed(renderable, color_system="standard"))
        assert not [c for c in printed if not c.isprintable() and c != "\n"], where
        if text is MARKUP:
            assert ":smile:" in printed, where


def test_the_help_of_every_option_is_shown_as_it_is_written() -> None:
    """Square brackets in it would be taken for markup, and left out."""
    helps = list(_helps(typer.main.get_command(cli.app)))
    assert len(helps) > 100
    assert [text for text in helps if render(text).plain != text] == []


def _helps(command: Any) -> Iterator[str]:
    yield from filter(None, (command.help, command.epilog))
    yield from (text for one in command.params if (text := getattr(one, "help", None)))
    for child in getattr(command, "commands", {}).values():
        yield from _helps(child)


def test_colours_are_still_printed() -> None:
    file = StringIO()
    screen = Screen(file=file, force_terminal=True, color_system="standard")
    screen.print(Text("red", style="red"))
    assert file.getvalue() == "\x1b[31mred\x1b[0m\n"
