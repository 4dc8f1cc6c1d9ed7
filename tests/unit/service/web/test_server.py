"""The address is taken before anything else, and a taken one is said in our words."""

import os
import socket
import stat
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rankspace.errors import InvalidInput
from service import server
from service.server import listen, run
from tests.unit.service.driver import settings


def test_a_taken_port_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("parent") / "data"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port = {port}: is taken") as refused:
            run(settings(directory, port=port))
    assert "choose another port" in refused.value.hint
    assert not directory.exists()


def test_what_the_service_writes_is_its_owner_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, before = tmp_path / "data", os.umask(0o022)
    try:

        def served(self: server.Server, **_: object) -> None:
            with TestClient(self.config.app):  # type: ignore[arg-type]
                pass

        monkeypatch.setattr(server.Server, "run", served)
        monkeypatch.setattr("service.telemetry.logs.configure", lambda _settings: None)
        monkeypatch.setattr(server, "use_few_arenas", lambda: None)
        run(settings(directory, port=0))
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert modes.pop("artifacts", 0o700) == 0o700
    assert modes["rankadaptor.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"host = '203\.0\.113\.1'"):
        listen("203.0.113.1", 0)


def test_port_zero_takes_a_free_one() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert listening.getsockname()[1] > 0


def test_accepted_connections_send_at_once() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
