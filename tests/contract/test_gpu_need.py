"""From the command to the claim: what ``submit`` works out decides who gets trials, and is said."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rankadaptor import Client, cli
from rankadaptor.rest.client import JSON, RestClient
from rankadaptor.study_file import read_study
from rankspace import Study
from rankspace.lease import Capabilities
from tests.unit.service.driver import listening, start
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
)
from worker.lease.client import LeaseClient

pytestmark = pytest.mark.slow

STUDY = """
name: tiny
model: {model}
recipe: {{data: {{train: {text}, format: text, held_out: 20}}, sequence_length: 32}}
search: {{ranks: [0, 1, 2], budget: {{parameters: "uniform:1"}}}}
"""
OLDER = "which lets GPUs of any size try"


@pytest.fixture
def file(tmp_path: Path, model_directory: Path, text_file: Path) -> Path:  # noqa: F811
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(model=model_directory, text=text_file))
    return path


def _key(home: Path, role: str) -> str:
    return (home / f"{role}.key").read_text().strip()


def _submitted(file: Path, url: str, home: Path) -> Result:
    settings = {"RANKADAPTOR_KEY": _key(home, "admin")}
    done = CliRunner().invoke(cli.app, ["submit", str(file), "--url", url], env=settings)
    assert done.exit_code == 0, done.output
    return done


def _is_given(url: str, home: Path, worker: str, gib: float) -> bool:
    with LeaseClient(url, _key(home, "worker"), worker) as service:
        return service.claim(0.0, Capabilities(gib)) is not None


def test_a_gpu_that_cannot_hold_a_trial_gets_none_and_status_says_why(
    file: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with listening(start(home).app) as url, RestClient(url, _key(home, "admin")) as admin:
        assert OLDER not in _submitted(file, url, home).output
        (study,) = admin.studies()
        need = study["gpu_need_gib"]
        assert 0.5 < need < 1.0
        assert not _is_given(url, home, "small", need - 0.001)
        settings = {"RANKADAPTOR_KEY": _key(home, "admin")}
        asked = ["status", study["id"], "--url", url]
        said = " ".join(CliRunner().invoke(cli.app, asked, env=settings).output.split())
        assert f"GPUs with less than {need:.2f} GiB get none of its trials" in said
        assert "no active worker gets its trials: a trial was worked out to take" in said
        assert _is_given(url, home, "large", need)
        assert _is_given(url, home, "cpu", 0.0)


def test_a_stated_memory_is_all_that_counts(file: Path, tmp_path: Path) -> None:
    file.write_text(f"gpu_memory_gib: 0\n{file.read_text()}")
    home = tmp_path / "home"
    with listening(start(home).app) as url:
        assert OLDER not in _submitted(file, url, home).output
        assert _is_given(url, home, "small", 0.001)


def test_a_service_that_keeps_nobody_away_is_told_of(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One of the release before answers as today's would without what it does not know."""
    today = RestClient.submit

    def before(self: RestClient, study: Study, **more: object) -> JSON:
        view = today(self, study, **more)  # type: ignore[arg-type]
        return {name: view[name] for name in view if name not in ("gpu_need_gib", "unfit")}

    monkeypatch.setattr(RestClient, "submit", before)
    home = tmp_path / "home"
    with listening(start(home).app) as url:
        assert OLDER in " ".join(_submitted(file, url, home).output.split())
        with Client(url, (home / "admin.key").read_text()) as client:
            client.submit(read_study(file))
        assert OLDER in " ".join(capsys.readouterr().err.split())
