"""Absences of the service, and clocks that are set: whose lease ends, and whose goes on."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rankspace.lease import PROTOCOL, Claim
from service.leases import lease_service, workflow
from service.storage.attendance import attend, unattended
from service.storage.clock import Now
from service.storage.db import Database
from service.storage.tables import AttendanceRow, TrialRow
from tests.unit.service.driver import ANYBODY, ON_POSTGRESQL, Service, holding, start

LEASE = 120.0
HOUR = 3600.0


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    """One that counts 15 seconds without a turn as an absence, as the default settings do."""
    service = start(directory, lease_seconds=LEASE, housekeeping_seconds=5.0)
    with service.client:
        yield service


def _write(service: Service) -> AbstractContextManager[Session]:
    database: Database = service.app.state.runtime.database
    return database.writing()


def _set_clock(service: Service, seconds: float, writing: Session | None = None) -> None:
    """Set the clock on, or be away: all that was written down is ``seconds`` older.

    What a transaction is ``writing`` is so as well.
    """
    with _write(service) as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at - seconds))
        leases = writing or session
        leases.execute(update(TrialRow).values(lease_until=TrialRow.lease_until - seconds))


def _left(service: Service, trial: int) -> float:
    with _write(service) as session:
        left = session.scalar(select(TrialRow.lease_until - Now()).where(TrialRow.id == trial))
    assert left is not None
    return float(left)


def _expiries(service: Service, trial: int) -> int:
    with _write(service) as session:
        return session.get_one(TrialRow, trial).expiries


@pytest.fixture
def trial(service: Service) -> int:
    """One that somebody holds and never renews."""
    service.submit()
    lease = service.claim()
    service.sweep()
    return int(lease["trial_id"])


def test_an_absence_is_given_back_and_no_more(service: Service, trial: int) -> None:
    _set_clock(service, 100.0)
    service.sweep()
    assert 80.0 < _left(service, trial) <= LEASE


def test_absences_that_come_again_and_again_keep_no_dead_lease_alive(
    service: Service, trial: int
) -> None:
    for _ in range(20):
        _set_clock(service, 20.0)
        service.sweep()
    assert _expiries(service, trial) == 1


@pytest.mark.parametrize("seconds", [HOUR, 24 * HOUR])
def test_a_clock_set_forward_takes_no_trial_from_its_holder(
    service: Service, seconds: float
) -> None:
    """Time and again, at once after a turn of housekeeping that found everything in order."""
    service.submit()
    lease = service.claim()
    path = f"/v1/leases/{lease['trial_id']}/heartbeat"
    for _ in range(5):
        service.sweep()
        _set_clock(service, seconds)
        service.sweep()
        assert service.post(path, holding(lease), "worker").status_code == 200


def test_a_clock_set_back_makes_no_lease_last_longer_than_a_new_one(
    service: Service, trial: int
) -> None:
    _set_clock(service, -24 * HOUR)
    assert _left(service, trial) > 23 * HOUR
    service.sweep()
    assert _left(service, trial) <= LEASE
    with _write(service) as session:
        assert 0.0 <= unattended(session) < 60.0


@ON_POSTGRESQL
def test_a_lease_being_written_when_the_clock_is_set_is_given_the_time_too(
    service: Service,
) -> None:
    service.submit()
    service.sweep()
    sweeping = threading.Thread(target=service.sweep)
    with _write(service) as session:
        claimed = workflow.claim(session, Claim("w1", PROTOCOL), LEASE, ANYBODY)
        assert claimed is not None
        _set_clock(service, HOUR, session)
        sweeping.start()
        sweeping.join(0.5)  # waits, or would be through by now
    sweeping.join()
    service.sweep()
    assert _expiries(service, claimed.id) == 0
    assert LEASE / 2 < _left(service, claimed.id) <= LEASE


@ON_POSTGRESQL
def test_a_clock_set_while_attendance_is_noted_is_seen(
    service: Service, trial: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_clock(service, 10.0)  # a note is due

    def noted(session: Session) -> float:
        monkeypatch.undo()
        _set_clock(service, HOUR)
        return attend(session)

    monkeypatch.setattr(lease_service, "attend", noted)
    service.sweep()
    assert 0.0 < _left(service, trial) <= LEASE
