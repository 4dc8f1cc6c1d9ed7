"""The commands that `rankadaptor shrink` stands for are commands that people can type."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.shrinking.plan import ShrinkPlan
from rankadaptor.shrinking.steps import pruning, submission, ways_out

HOME = Path("/home/a b/small")
PLAN = ShrinkPlan("/models/it's", 0.6, "/data/x.txt", "/data/x.txt", "flap")


def test_every_step_is_a_line_that_the_command_line_reads() -> None:
    group: Any = typer.main.get_command(cli.app)
    steps = [*pruning(PLAN, 0.5, "cuda:1", HOME), submission(HOME), *ways_out("st_1", HOME)]
    names = [step.command[0] for step in steps]
    assert names == ["compress", "profile", "init", "submit", "export", "export"]
    for step in steps:
        program, name, *words = shlex.split(step.line)
        assert (program, [name, *words]) == ("rankadaptor", list(step.command))
        with group.commands[name].make_context(name, words) as context:
            assert not context.args
        assert step.made.is_relative_to(HOME)


def test_what_only_begun_to_be_made_is_no_sign_that_it_is_done() -> None:
    """A download makes its directory before a file of it is there."""
    adapter, model = ways_out("st_1", HOME)
    assert adapter.made == HOME / "adapter" / "VERDICT.md"
    assert model.made == HOME / "model" / "pruned.json"
    assert submission(HOME).command[-1] != submission(HOME / "other").command[-1]


def test_the_commands_are_printed_whole_into_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankadaptor.shrinking.run.ratio_of", lambda _: 0.5)
    text = tmp_path / ("long" * 40)
    text.write_text("a")
    words = ["shrink", str(tmp_path), "--keep", "0.6", "--data", str(text), "--to", "x"]
    lines = CliRunner().invoke(cli.app, [*words, "--dry-run"]).stdout.splitlines()
    assert [line.split()[0] for line in lines].count("rankadaptor") == len(lines) - 1  # STUDY=$(
    assert str(text) in lines[0]


def test_rows_and_files_that_are_not_there_are_named_before_anything_is_done(
    tmp_path: Path,
) -> None:
    rows, text = tmp_path / "rows.jsonl", tmp_path / "text.txt"
    rows.write_text("{}")
    text.write_text("a")
    for given, said in (
        (["--data", str(rows)], "give --text"),
        (["--data", str(tmp_path / "absent.txt")], "is no file"),
        (["--data", str(rows), "--text", str(tmp_path)], "is no file"),
    ):
        words = ["shrink", str(tmp_path), "--keep", "0.6", "--to", str(tmp_path / "to"), *given]
        error = CliRunner().invoke(cli.app, words).exception
        assert said in f"{error} {getattr(error, 'hint', '')}"
    assert not (tmp_path / "to").exists()
