"""When the service says that it may be asked."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from rankspace.errors import Unreachable
from service import housekeeping
from service.storage import readiness
from service.storage.db import Database
from tests.unit.service.driver import Service, start
from tests.waiting import wait_for


def _rename(service: Service, old: str, new: str) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


def _until(service: Service, status: int) -> Any:
    def answered() -> Any:
        answer = service.client.get("/readyz")
        return answer if answer.status_code == status else None

    return wait_for(answered)


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


def test_slow_housekeeping_is_given_ten_of_its_intervals(directory: Path) -> None:
    service = start(directory, housekeeping_seconds=3600.0)
    with service.client as client:
        for seconds, status in ((9 * 3600.0, 200), (2 * 3600.0, 503)):
            service.app.state.housekeeping._succeeded_at -= seconds
            assert client.get("/readyz").status_code == status


def test_strangers_make_it_write_once_a_second(service: Service) -> None:
    writes: list[Any] = []

    def begun(connection: Any) -> None:
        writes.append(connection)

    event.listen(service.app.state.runtime.database.engine, "begin", begun)
    for _ in range(50):
        assert service.client.get("/readyz").status_code == 200
    assert 0 < len(writes) <= 25


def _three(service: Service) -> list[Any]:
    """The answers to three who ask at once."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda _: service.client.get("/readyz"), range(3)))


def test_who_ask_at_once_get_one_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very first ones too: nobody knows of an earlier look."""
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 30.0)  # however slow the machine
    found = service.app.state.runtime.readiness
    looks, ask = Counter[str](), found._ask

    def slow() -> None:
        looks["taken"] += 1
        time.sleep(0.1)
        ask()

    monkeypatch.setattr(found, "_ask", slow)
    assert [answer.status_code for answer in _three(service)] == [200, 200, 200]
    assert looks["taken"] == 1


def test_a_bad_answer_is_shared_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 3600.0)
    found, looks = service.app.state.runtime.readiness, Counter[str]()

    def broken() -> None:
        looks["taken"] += 1
        time.sleep(0.1)
        raise Unreachable("the database cannot be written")

    monkeypatch.setattr(found, "_ask", broken)
    answers = [*_three(service), service.client.get("/readyz")]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert looks["taken"] == 1


def test_nobody_waits_long_for_a_database_that_hangs(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 60.0)
    found, ended = service.app.state.runtime.readiness, threading.Event()
    found._good_at = time.monotonic()
    looks: list[bool] = []
    monkeypatch.setattr(found, "_ask", lambda: looks.append(ended.wait(60)))
    try:
        assert service.client.get("/readyz").status_code == 200  # it was well a moment ago
        found._good_at -= 60.0
        answers = [service.client.get("/readyz") for _ in range(5)]
    finally:
        ended.set()
    assert {answer.status_code for answer in answers} == {503}
    assert "has not answered" in answers[0].json()["detail"]
    _until(service, 200)
    assert looks


def test_after_a_bad_answer_the_good_one_before_does_not_stand(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 60.0)
    found, ended = service.app.state.runtime.readiness, threading.Event()
    assert service.client.get("/readyz").status_code == 200
    with service.app.state.runtime.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert service.client.get("/readyz").status_code == 503
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(found, "_ask", lambda: ended.wait(60))
    try:
        assert service.client.get("/readyz").status_code == 503
    finally:
        ended.set()


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
