import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode, exit_code
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
