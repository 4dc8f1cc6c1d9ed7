"""When the service says that it may be asked."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from service import housekeeping
from service.storage import readiness
from service.storage.db import Database
from tests.services import wait_for
from tests.unit.service.driver import Service, start


def _rename(service: Service, old: str, new: str) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def _until(service: Service, status: int) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = service.client.get("/readyz")
        if answer.status_code == status:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not {status} within ten seconds")


def test_ready_while_housekeeping_succeeds_and_only_then(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LATE_SECONDS", 0.3)
    service = start(directory, housekeeping_seconds=0.02, log_level="error")
    with service.client:
        _until(service, 200)
        _rename(service, "trials", "gone")  # every turn of housekeeping fails from here on
        answer = _until(service, 503)
        assert "housekeeping has not succeeded for" in answer.json()["detail"]
        assert service.client.get("/livez").status_code == 200
        _rename(service, "gone", "trials")
        _until(service, 200)


def test_slow_housekeeping_is_given_ten_of_its_intervals(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LATE_SECONDS", 0.05)
    with start(directory, housekeeping_seconds=3600.0).client as client:
        time.sleep(0.1)
        assert client.get("/readyz").status_code == 200


def test_strangers_make_it_write_once_a_second(service: Service) -> None:
    writes: list[Any] = []

    def begun(connection: Any) -> None:
        writes.append(connection)

    event.listen(service.app.state.runtime.database.engine, "begin", begun)
    for _ in range(50):
        assert service.client.get("/readyz").status_code == 200
    assert 0 < len(writes) <= 25


def test_nobody_waits_for_a_database_that_hangs(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 1.0)
    found, ended = service.app.state.runtime.readiness, threading.Event()
    assert service.client.get("/readyz").status_code == 200
    monkeypatch.setattr(found, "_ask", lambda: ended.wait(10))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(found.check)
        wait_for(found._lock.locked, 5)
        found.check()  # it was well a moment ago
        time.sleep(1.0)
        begin = time.monotonic()
        answers = [service.client.get("/readyz") for _ in range(5)]
        assert time.monotonic() - begin < 1.0
        ended.set()
        hanging.result(5)
    assert {answer.status_code for answer in answers} == {503}
    assert "has not answered" in answers[0].json()["detail"]
    assert service.client.get("/readyz").status_code == 200


def test_after_a_bad_answer_the_good_one_before_does_not_stand(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    found = service.app.state.runtime.readiness
    found.check()
    with service.app.state.runtime.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert service.client.get("/readyz").status_code == 503
    with found._lock:
        assert service.client.get("/readyz").status_code == 503


def test_an_older_schema_is_not_ready(service: Service) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert service.client.get("/readyz").status_code == 503


def test_a_database_that_cannot_be_written_is_not_ready(service: Service) -> None:
    _forbid_writing(service.app.state.runtime.database)
    answer = _until(service, 503)
    assert answer.json()["detail"] == "the database cannot be written"
    assert service.client.get("/v1/studies", headers=service.key("admin")).status_code == 200


def _forbid_writing(database: Database) -> None:
    if database.is_shared:
        name = database.engine.url.database
        with database.engine.connect() as connection:
            connection.exec_driver_sql(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
            )
            connection.commit()
    else:
        event.listen(database.engine, "connect", _only_query)
    database.engine.dispose()


def _only_query(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA query_only=ON")
