"""Joining and quarantine from the command line, against a real service and a real worker."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor.cli import app
from rankadaptor.private_service import service
from tests.integration import forked
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.integration


def _worker(url: str, home: Path, log: str, **environment: str) -> tuple[int | None, str]:
    """Run a worker that leaves when there was nothing to do; return its status and its log."""
    command = ["worker", "--url", url, "--name", "gpu-0", "--until-idle-seconds", "0.2"]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RANKADAPTOR_")},
        "RANKADAPTOR_SPOOL_DIRECTORY": str(home / "spool"),
        "RANKADAPTOR_TOKEN_DIRECTORY": str(home / "tokens"),
        "RANKADAPTOR_DATA_DIRECTORY": str(home / "elsewhere"),
        "RANKADAPTOR_WAIT_SECONDS": "0",
        **environment,
    }
    process = forked.start(partial(forked.command, command), environment, home / log)
    process.join(PATIENCE_SECONDS)
    return process.exitcode, (home / log).read_text(encoding="utf-8")


def test_a_worker_joins_is_listed_and_can_be_kept_from_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    with service(tmp_path / "home", tmp_path / "logs") as admin:
        monkeypatch.setenv("RANKADAPTOR_URL", admin.url)
        monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path / "home"))
        monkeypatch.delenv("RANKADAPTOR_KEY", raising=False)
        token = run("keys", "join-token", "rack 3", "--project", "ours", "--uses", "2").strip()
        status, joined = _worker(admin.url, tmp_path, "first", RANKADAPTOR_JOIN_TOKEN=token)
        assert status == 0, joined
        assert "worker_joined" in joined
        status, again = _worker(admin.url, tmp_path, "again")
        assert status == 0, again
        assert "worker_joined" not in again
        assert token not in joined + again
        (listed,) = json.loads(run("workers", "--json"))
        assert (listed["name"], listed["project"]) == ("gpu-0", "ours")
        run("workers", "quarantine", "gpu-0", "smells of smoke")
        assert "smells of smoke" in run("workers")
        run("workers", "reinstate", "gpu-0")
        assert "smells of smoke" not in run("workers")
        (known,) = json.loads(run("keys", "join-tokens", "--json"))
        assert known["uses_left"] == 1
        assert "rack 3" in run("keys", "join-tokens")
        run("keys", "revoke-join-token", known["id"])
        (bound,) = [key for key in json.loads(run("keys", "list", "--json")) if key["worker"]]
        run("keys", "revoke", bound["id"])
        status, refused = _worker(admin.url, tmp_path, "refused")
        assert status == 5
        assert "it was revoked: delete" in refused
