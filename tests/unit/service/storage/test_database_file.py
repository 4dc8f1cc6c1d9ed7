"""A database whose disk is full, whose file is gone, or damaged: said, and not written to."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import ProgrammingError
from structlog.testing import capture_logs

from rankspace.errors import InvalidInput, Unreachable
from service import server
from service.access.keys import Keys
from service.storage import readiness
from service.storage.database_file import ROOM, DatabaseLost
from tests.unit.service.driver import ON_SQLITE, Service, holding, settings, study

pytestmark = ON_SQLITE


@pytest.fixture(autouse=True)
def _look_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 30.0)


def _ready(service: Service) -> tuple[int, str]:
    answer = service.client.get("/readyz")
    return answer.status_code, answer.json().get("detail", "")


def _submit(service: Service) -> Any:
    return service.post("/v1/studies", study())


# Full


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk with so much room: writing beyond it fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_not_ready_before_the_database_notices(service: Service) -> None:
    """The database goes on in the room its log has taken before."""
    service.submit()
    with _files_of_at_most(ROOM - 1):
        assert _submit(service).status_code == 201
        assert _ready(service) == (503, "there is no room for the database")
    assert _ready(service) == (200, "")


# Gone


def test_nothing_is_written_to_a_file_that_has_no_name_any_more(service: Service) -> None:
    service.submit()
    lease = service.claim()
    file = service.directory / "rankadaptor.sqlite"
    file.rename(file.with_name("elsewhere"))
    beat = f"/v1/leases/{lease['trial_id']}/heartbeat"
    answers = [
        _submit(service),
        service.post(beat, holding(lease), "worker"),
        service.client.get("/v1/studies", headers=service.key("admin")),
    ]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].json()["detail"] == "the database's file was removed or replaced"
    assert "put the file back" in answers[0].json()["hint"]
    assert _ready(service) == (503, "the database's file was removed or replaced")
    assert not file.exists()
    file.with_name("elsewhere").rename(file)
    assert (_submit(service).status_code, _ready(service)[0]) == (201, 200)


def test_a_file_put_in_its_place_is_another_one(service: Service) -> None:
    """A backup copied over it would be written to through half of the connections."""
    file = service.directory / "rankadaptor.sqlite"
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)
    assert _submit(service).status_code == 503
    assert _ready(service)[0] == 503


def test_a_study_does_not_fail_for_a_file_that_is_gone_for_a_while(service: Service) -> None:
    identity = service.submit()
    service.report(service.claim(), -2.0)
    file = service.directory / "rankadaptor.sqlite"
    file.rename(file.with_name("elsewhere"))
    with pytest.raises(DatabaseLost), capture_logs() as logs:
        service.sweep()
    file.with_name("elsewhere").rename(file)
    assert [line for line in logs if line["event"] == "study cannot go on"] == []
    service.sweep()
    assert service.get(f"/v1/studies/{identity}")["state"] == "searching"
    service.work()
    assert service.get(f"/v1/studies/{identity}")["state"] == "done"


# Damaged


def _spoil(service: Service, table: str) -> None:
    """Overwrite the page a table begins with, on the disk and in nobody's cache."""
    file = service.directory / "rankadaptor.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    of_table = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    (page,) = connection.execute(of_table, (table,)).fetchone()
    connection.close()
    with file.open("r+b") as content:
        content.seek((page - 1) * size)
        content.write(b"\xa5" * size)
    service.app.state.runtime.database.engine.dispose()


def test_a_damaged_database_is_said_to_be_and_not_written_to(service: Service) -> None:
    service.submit()
    service.app.state.housekeeping.stop()
    _spoil(service, "models")
    with capture_logs() as logs:
        read = service.client.get("/v1/models", headers=service.key("admin"))
        written = service.post("/v1/keys", {"role": "viewer", "name": "x"})
        assert _ready(service) == (503, "the database is damaged")
    assert (read.status_code, written.status_code) == (503, 503)
    assert read.json()["detail"] == written.json()["detail"] == "the database is damaged"
    assert "restore a backup" in written.json()["hint"]
    told = [line for line in logs if line["event"] == "the database is damaged"]
    assert [line["file"] for line in told] == [str(service.directory / "rankadaptor.sqlite")]
    assert [line for line in logs if line.get("exc_info")] == []
    assert service.get("/v1/keys")["items"]  # what is whole may be read


def test_other_errors_of_the_database_are_defects(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ProgrammingError("SELECT", {}, sqlite3.ProgrammingError("wrong number of parameters"))

    monkeypatch.setattr(Keys, "page", broken)
    with pytest.raises(ProgrammingError):
        service.client.get("/v1/keys", headers=service.key("admin"))


@pytest.mark.parametrize("content", [b"no database" * 1_000, b""])
def test_serve_says_in_a_sentence_that_a_database_is_none(
    directory: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.telemetry.logs.configure", lambda _settings: None)
    monkeypatch.setattr(server, "use_few_arenas", lambda: None)
    (directory / "rankadaptor.sqlite").write_bytes(content)
    kind, match = (Unreachable, "not a database") if content else (InvalidInput, "another database")
    with pytest.raises(kind, match=match):
        server.run(settings(directory, port=0))
