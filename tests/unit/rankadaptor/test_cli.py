import io
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from alembic.command import upgrade
from rich.console import Console
from typer.testing import CliRunner, Result

from rankadaptor import cli
from rankadaptor.exit_codes import ExitCode, exit_code
from rankadaptor.study_view import studies_table, study_details
from rankspace import errors
from rankspace.observation import DataCounts
from rankspace.wire import encode
from service.storage import schema
from service.storage.db import Database

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
        result = runner.invoke(cli.app, [cli.name_of(command), "--help"])
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
        (("worker", "--device", "cuda:1"), "device"),
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
    study: dict[str, Any] = {
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


@pytest.mark.parametrize("data", [{}, {"data": None}])
def test_a_study_whose_data_nobody_counted_is_shown(data: dict[str, Any]) -> None:
    assert "data:" not in _printed({**STUDY, **data})


def test_what_the_data_came_to_is_told() -> None:
    counts = DataCounts(340, 290, 12, 5, 40, 5, 5, 412, 256, 128)
    newer = {**encode(counts), "a_field_of_later": 1}
    told = " ".join(_printed({**STUDY, "data": newer}).split())
    assert f"data: {counts.sentence}" in told


STUDY: dict[str, Any] = {
    "id": "st_1",
    "name": "s",
    "state": "searching",
    "error": None,
    "best": None,
    "eta_seconds": None,
    "uniform_score": None,
    "workers_active": 1,
    "progress": {},
}


def _printed(study: dict[str, Any]) -> str:
    console = Console(width=2000, record=True, file=io.StringIO())
    console.print(study_details(study))
    return console.export_text()


def test_the_version_is_told_before_any_command() -> None:
    result = runner.invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"rankadaptor {version('rankadaptor')}\n")


@pytest.mark.parametrize("arguments", [("db", "check"), ("serve", "--port", "0")])
@pytest.mark.parametrize("below", ["file/data", "x" * 300])
def test_a_path_that_cannot_be_used_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    below: str,
) -> None:
    monkeypatch.setattr("service.telemetry.logs.configure", lambda _settings: None)
    monkeypatch.setattr("service.server.use_few_arenas", lambda: None)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path / below))
    assert run(monkeypatch, *arguments) == ExitCode.INVALID_INPUT
    said = capsys.readouterr().err
    assert "cannot be " in said
    assert "fix:" in said


def _upgrade_from(directory: Path, before: str | None, *more: str) -> tuple[Result, str | None]:
    """What the command says of a database of that schema, and the schema it has then."""
    database = Database(f"sqlite:///{directory / 'd.sqlite'}")
    if before is not None:
        upgrade(schema.configuration(database.engine), before)
    given = ["db", "upgrade", "--database-url", f"sqlite:///{directory / 'd.sqlite'}"]
    told = runner.invoke(cli.app, [*given, *more])
    after = schema.revision(database)
    database.close()
    return told, after


@pytest.mark.parametrize(
    ("before", "more"),
    [(None, ()), ("0009", ("--services-stopped",)), ("0010", ()), ("0011", ())],
)
def test_the_schema_is_upgraded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None, more: tuple[str, ...]
) -> None:
    monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path))
    told, after = _upgrade_from(tmp_path, before, *more)
    assert told.exit_code == 0
    assert told.output == f"schema {before or 'none'} -> {after}\n"
    assert after != before


def test_the_schema_stays_under_services_that_go_by_other_rules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path))
    told, after = _upgrade_from(tmp_path, "0009")
    assert after == "0009"
    assert isinstance(told.exception, errors.Conflict)
    assert "at the recipe's learning rate" in told.exception.detail
    assert told.exception.hint.endswith("rankadaptor db upgrade --services-stopped")


def test_a_study_without_an_end_that_can_be_told_says_how_far_it_can() -> None:
    study: dict[str, Any] = {
        **dict.fromkeys(("id", "name"), "st_1"),
        "state": "searching",
        "error": None,
        "best": None,
        "progress": {"search": dict.fromkeys(("done", "failed", "running", "queued"), 1)},
        "workers_active": 1,
        "eta_seconds": None,
        "before_recovery_seconds": 61.2,
        "base_dtype": "bfloat16",
    }
    study["progress"]["search"]["planned"] = 9
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(studies_table([study]))
    console.print(study_details(study))
    said = console.export_text()
    assert "0:01:01 + recovery" in said
    assert "1 active worker, 0:01:01 left before the recovery" in said
    assert "base weights in bfloat16" in said


@pytest.mark.parametrize(("said", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "X"}, "X")])
def test_threads_are_told_to_sleep_before_torch_is_there(said: dict[str, str], policy: str) -> None:
    """Spinning, a trial takes many times as long on a machine that does other work."""
    child = (
        "import os, sys; from rankadaptor import cli; sys.argv[1:] = ['--version']\n"
        "try: cli.main()\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | said
    told = subprocess.check_output([sys.executable, "-c", child], env=environment, text=True)
    assert told.splitlines()[-1] == f"{policy} False"


def test_a_command_that_is_told_to_end_leaves_no_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def working() -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            assert Path(folder).exists()
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("it went on")

    monkeypatch.setattr(cli, "app", working)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run(monkeypatch) == 128 + signal.SIGTERM
        signal.signal(signal.SIGTERM, before)
        monkeypatch.setattr(cli, "app", lambda: sys.exit(0))
        assert run(monkeypatch, "serve") == 0
        assert signal.getsignal(signal.SIGTERM) == before
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not [*tmp_path.iterdir()]
