"""What others wrote is printed as text and steers no terminal."""

import ast
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
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
from rankadaptor.screen import Screen, complain, plain, typed, write_in_any_encoding
from rankadaptor.study_view import studies_table, study_details
from rankspace import Layer, RankVector, SearchSpace
from rankspace.calibration import Noise
from rankspace.errors import InvalidInput

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


ENCODINGS = ["ascii", "cp1252", "latin-1", "koi8-r", "cp437", "utf-8"]


def _written(monkeypatch: pytest.MonkeyPatch, encoding: str, renderable: object) -> str:
    """What a command's output is on a terminal of that encoding."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, write_through=True))
    write_in_any_encoding()
    Screen(width=60).print(renderable)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_terminal_of_any_encoding_ends_no_command(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    space = SearchSpace((Layer("a", 1, 0, "目标"), Layer("b", 1, 1, "naïve")), (0, 1), 2)
    shown = Group(
        studies_table([_study("naïve – 目标 …")]),
        rank_map(space, RankVector((0, 1)), "ranks"),
        "-0.1234 ± 0.0021 −",
    )
    written = _written(monkeypatch, encoding, shown)
    assert "-0.1234 " in written
    assert ("目标" in written) == (encoding == "utf-8")


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "0.1 ± 0.2 …, a − b", "0.1 +- 0.2 ..., a - b\n"),
        ("cp1252", "0.1 ± 0.2 …, a − b", "0.1 ± 0.2 …, a - b\n"),
        ("ascii", "größer 模型", "gr??er ??\n"),
    ],
)
def test_what_an_encoding_lacks_is_written_as_what_is_alike(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, written: str
) -> None:
    assert _written(monkeypatch, encoding, text) == written


def test_half_of_a_character_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the names of files have it that are no UTF-8, in the framework's own messages."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "utf-8", write_through=True))
    write_in_any_encoding()
    sys.stderr.write("no \udcff.yaml\n")
    assert raw.getvalue() == b"no ?.yaml\n"


def test_a_closed_stream_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    write_in_any_encoding()


@pytest.mark.slow
def test_the_program_itself_writes_in_any_encoding() -> None:
    """In the narrowest, a page of help that it lacks characters of."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "rankadaptor.cli", "db", "upgrade", "--help"]
    ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"sqlite:///FILE or postgresql://..." in ended.stdout


SERVICE = Path(cli.__file__).parents[1] / "service"
NO_COMMAND = {"GET /v1/models lists them"}
"""Of a route that no command asks."""


def test_a_hint_of_the_service_names_no_route_at_a_shell() -> None:
    hints = {hint for file in SERVICE.rglob("*.py") for hint in _naming_routes(file)}
    assert len(hints) > 5
    assert {hint for hint in hints if _naming_route(typed(hint))} == NO_COMMAND
    assert typed("GET /v1/keys lists them") == "`rankadaptor keys list` lists them"
    assert "--url" in typed("GET /v1/openapi.json lists every route")
    assert typed("use 127.0.0.1") == "use 127.0.0.1"


def _naming_route(text: str) -> bool:
    return re.search("(GET|POST|PUT|DELETE) /", text) is not None


def _naming_routes(file: Path) -> Iterator[str]:
    """The texts of one line in ``file`` that name a route, docstrings left out."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_docstring = node.end_lineno != node.lineno or "``" in node.value
            if _naming_route(node.value) and not is_docstring:
                yield node.value


def test_a_long_path_in_an_error_stays_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/a/b" * 60
    complain(
        InvalidInput("model", path[:70], f"there is no {path}", fix=f"make {path}"), as_json=False
    )
    said = capsys.readouterr().err
    assert f"there is no {path}\n" in said
    assert f"fix: make {path}\n" in said
