import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode, exit_code
from rankadaptor.study_view import studies_table
from rankspace import errors

runner = CliRunner()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["rankadaptor", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BudgetTooSmall("f", 1, "p", fix="x"), ExitCode.INVALID_INPUT),
        (errors.NotFound("x"), ExitCode.NOT_FOUND),
        (errors.LeaseLost("x"), ExitCode.CONFLICT),
        (errors.Forbidden("x"), ExitCode.REFUSED),
        (errors.Unreachable("x"), ExitCode.UNREACHABLE),
        (errors.TooManyRequests("x"), ExitCode.UNREACHABLE),
        (errors.TrialFailed("x"), ExitCode.FAILURE),
    ],
)
def test_every_kind_of_error_has_its_exit_code(
    error: errors.RankspaceError, code: ExitCode
) -> None:
    assert exit_code(error) == code


def test_every_command_has_help_and_a_summary() -> None:
    for command in cli.COMMANDS:
        result = runner.invoke(cli.app, [command.__name__, "--help"])
        assert result.exit_code == 0, result.output
        assert command.__doc__


def test_an_error_names_the_fix_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path))
    assert run(monkeypatch, "status") == ExitCode.REFUSED
    captured = capsys.readouterr()
    assert "Unauthenticated" in captured.err
    assert "fix:" in captured.err
    assert captured.out == ""


def test_with_json_the_error_is_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANKADAPTOR_KEY", "rka_x_y")
    monkeypatch.setenv("RANKADAPTOR_URL", "http://127.0.0.1:9")
    assert run(monkeypatch, "status", "--json") == ExitCode.UNREACHABLE
    body = json.loads(capsys.readouterr().err)
    assert body["error"] == "Unreachable"
    assert "rankadaptor serve" in body["hint"]


def test_the_schema_of_a_study_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    result = runner.invoke(cli.app, ["submit", "--schema"])
    assert json.loads(result.output)["title"] == "Study"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("serve", "--port", "99999"), "port"),
        (("serve", "--lease-seconds", "-1"), "lease_seconds"),
        (("worker", "--device", "tpu"), "device"),
    ],
)
def test_a_bad_setting_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    field: str,
) -> None:
    assert run(monkeypatch, *arguments) == ExitCode.INVALID_INPUT
    said = capsys.readouterr().err
    assert f"InvalidInput: {field} = " in said
    assert "fix: correct --" in said


def test_square_brackets_in_a_name_are_only_text() -> None:
    study = {
        "id": "st_1",
        "name": "7b [/old] [base]",
        "state": "done",
        "best": None,
        "eta_seconds": None,
        "progress": {"search": {"done": 1, "failed": 0, "planned": 1}},
    }
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(studies_table([study]))
    assert "7b [/old] [base]" in console.export_text()
