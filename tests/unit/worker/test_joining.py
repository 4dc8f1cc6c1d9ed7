"""A worker joins at its first start, keeps its key, and says what to do when that was revoked."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from rankspace.errors import Conflict, InvalidInput, Unauthenticated
from worker.identity.joining import key_of
from worker.lease.drain import Drain
from worker.run import run
from worker.settings import Settings

TOKEN = "rkj_abcdefgh_" + "t" * 32 + "_00000000"
KEY = "rka_abcdefgh_" + "k" * 32 + "_00000000"
JOINED = (201, {"id": "abcdefgh", "key": KEY, "worker": "gpu-0"})
AWAY = (503, {"error": "Unreachable", "detail": "starting", "hint": ""})
REVOKED = (401, {"error": "Unauthenticated", "detail": "the key is not valid", "hint": ""})


@pytest.fixture
def settings(service: Any, tmp_path: Path) -> Settings:
    return Settings(
        url=service.url,
        worker="gpu-0",
        join_token=SecretStr(TOKEN),
        spool_directory=tmp_path,
        device="cpu",
        away_seconds=0.01,
        until_idle_seconds=0.05,
        wait_seconds=0,
        log_format="json",
    )


def _changed(settings: Settings, **values: Any) -> Settings:
    return Settings(**{**settings.model_dump(exclude_unset=True), **values})


def _file(tmp_path: Path) -> Path:
    (found,) = tmp_path.glob("worker-*.key")
    return found


def test_it_joins_once_and_uses_its_key_from_then_on(
    service: Any, settings: Settings, tmp_path: Path
) -> None:
    service.say("join", AWAY, JOINED)
    assert key_of(settings, Drain()) == KEY
    assert stat.S_IMODE(_file(tmp_path).stat().st_mode) == 0o600
    assert key_of(_changed(settings, join_token=None), Drain()) == KEY
    assert key_of(settings, Drain()) == KEY
    assert service.bodies("join") == [{"token": TOKEN, "worker": "gpu-0"}] * 2
    assert service.authorizations == {None}
    assert [path.name for path in tmp_path.iterdir()] == [_file(tmp_path).name]


def test_each_name_has_its_own_key(service: Any, settings: Settings, tmp_path: Path) -> None:
    service.say("join", JOINED)
    key_of(settings, Drain())
    key_of(_changed(settings, worker="gpu/1"), Drain())
    assert [body["worker"] for body in service.bodies("join")] == ["gpu-0", "gpu/1"]
    assert len(list(tmp_path.glob("*.key"))) == 2


def test_a_token_may_come_in_a_file(service: Any, settings: Settings, tmp_path: Path) -> None:
    service.say("join", JOINED)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    filed = _changed(settings, join_token=None, join_token_file=tmp_path / "token")
    assert key_of(filed, Drain()) == KEY
    assert service.bodies("join")[0]["token"] == TOKEN


def test_a_key_that_is_given_comes_first_and_the_machine_s_last(
    service: Any, settings: Settings, tmp_path: Path
) -> None:
    service.say("join", JOINED)
    local = tmp_path / "local"
    local.write_text("rka_local")
    assert key_of(_changed(settings, key="rka_given"), Drain(), local) == "rka_given"
    assert key_of(_changed(settings, join_token=None), Drain(), local) == "rka_local"
    assert service.bodies("join") == []
    assert key_of(settings, Drain(), local) == KEY
    assert key_of(_changed(settings, join_token=None), Drain(), local) == KEY


def test_a_name_that_changes_cannot_join(service: Any, settings: Settings) -> None:
    values = settings.model_dump(exclude_unset=True)
    nameless = Settings(**{k: v for k, v in values.items() if k != "worker"})
    with pytest.raises(InvalidInput, match="name that stays") as refused:
        key_of(nameless, Drain())
    assert "RANKADAPTOR_WORKER" in refused.value.hint
    assert service.bodies("join") == []


@pytest.mark.parametrize("name", ["Unauthenticated", "Conflict"])
def test_what_the_service_says_of_a_token_reaches_the_operator(
    service: Any, settings: Settings, tmp_path: Path, name: str
) -> None:
    status = {"Unauthenticated": 401, "Conflict": 409}[name]
    service.say("join", (status, {"error": name, "detail": "no", "hint": "revoke it first"}))
    with pytest.raises((Unauthenticated, Conflict)) as refused:
        key_of(settings, Drain())
    assert (type(refused.value).__name__, refused.value.hint) == (name, "revoke it first")
    assert list(tmp_path.glob("*.key")) == []


def test_a_token_is_not_used_up_for_a_key_that_cannot_be_kept(
    service: Any, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="spool_directory"):
        key_of(_changed(settings, spool_directory=tmp_path / "file"), Drain())
    assert service.bodies("join") == []


def test_a_revoked_key_says_what_to_do(
    service: Any, settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    service.say("join", JOINED)
    assert run(settings) == 0
    service.say("claim", REVOKED)
    with pytest.raises(Unauthenticated) as refused:
        run(settings)
    assert f"delete {_file(tmp_path)}" in refused.value.hint
    assert "RANKADAPTOR_JOIN_TOKEN" in refused.value.hint
    written = capfd.readouterr().err
    events = [json.loads(line) for line in written.splitlines() if line[:1] == "{"]
    assert [e["event"] for e in events].count("worker_joined") == 1
    assert events[-1]["fix"] == refused.value.hint
    assert TOKEN not in written
    assert KEY not in written
    assert service.authorizations == {None, f"Bearer {KEY}"}
