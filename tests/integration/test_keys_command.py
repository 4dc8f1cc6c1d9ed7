"""``rankadaptor keys`` and ``RestClient`` against a real service."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor.cli import app
from rankadaptor.private_service import service
from rankadaptor.rest.client import RestClient
from rankspace.errors import Conflict, Forbidden, Unauthenticated

pytestmark = pytest.mark.integration


def test_a_key_is_issued_listed_and_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["keys", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    with service(tmp_path / "home", tmp_path / "logs") as admin:
        monkeypatch.setenv("RANKADAPTOR_URL", admin.url)
        monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path / "home"))
        monkeypatch.delenv("RANKADAPTOR_KEY", raising=False)
        key = run("issue", "viewer", "a colleague", "--project", "ours", "--days", "7").strip()
        identity = key.split("_")[1]
        with RestClient(admin.url, key) as viewer:
            assert list(viewer.studies()) == []
            with pytest.raises(Forbidden):
                list(viewer.audit())
            (listed,) = [k for k in json.loads(run("list", "--json")) if k["id"] == identity]
            assert (listed["role"], listed["project"]) == ("viewer", "ours")
            assert listed["expires_at"] is not None
            assert "a colleague" in run("list")
            assert json.loads(run("revoke", identity, "--json")) == {"revoked": identity}
            with pytest.raises(Unauthenticated):
                list(viewer.studies())
        routes = [(entry["method"], entry["route"]) for entry in admin.audit()]
        assert routes == [("POST", "/v1/keys"), ("DELETE", "/v1/keys/{key}")]
        own = next(k["id"] for k in admin.api_keys() if k["role"] == "admin")
        with pytest.raises(Conflict):
            run("revoke", own)
