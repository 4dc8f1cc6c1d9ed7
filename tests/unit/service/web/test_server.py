"""The address is taken before anything else, and a taken one is said in our words."""

import os
import socket
import stat
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rankadaptor.local_service import NOTED, ports
from rankspace.errors import InvalidInput
from service import server
from service.server import listen, note_port, run
from service.storage.db import Database
from service.storage.schema import revision
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
    assert (directory / NOTED).read_text().strip().isdecimal()
    assert set(modes.values()) == {0o600}


def test_the_port_is_noted_beside_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "data" / NOTED
    for port in (8731, 9000, 8731):
        note_port(file.parent, port)
    assert file.read_text() == "8731\n9000\n"
    file.write_bytes(b"\xff nonsense\n")
    note_port(file.parent, 9000)
    assert ports(file.parent) == {9000}


def test_a_service_starts_where_its_port_cannot_be_noted(tmp_path: Path) -> None:
    (tmp_path / NOTED).mkdir()
    note_port(tmp_path, 8731)


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", True), ("::1", True), ("0.0.0.0", True), ("::", True), ("192.0.2.1", False)],
)
def test_only_a_service_that_loopback_reaches_is_noted(host: str, reached: bool) -> None:
    assert server._is_reached_here(host) is reached


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


ODD_NAMES = ["a?b", "a?mode=ro", "a#b", "50%41", "x y", "über", "a&b;c", "..a", "~"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_database_is_in_its_directory_whatever_that_is_called(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    database = Database(settings(tmp_path / name).url())
    assert revision(database) is None  # it has been looked at, and made for that
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "rankadaptor.sqlite").is_file()


def test_a_service_starts_in_a_directory_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "50% #1?x"
    monkeypatch.setattr(server.Server, "run", lambda _self, **_: None)
    monkeypatch.setattr("service.telemetry.logs.configure", lambda _settings: None)
    monkeypatch.setattr(server, "use_few_arenas", lambda: None)
    run(settings(directory, port=0))
    assert [path.name for path in tmp_path.iterdir()] == [directory.name]
    assert {"admin.key", "rankadaptor.sqlite"} <= {path.name for path in directory.iterdir()}
