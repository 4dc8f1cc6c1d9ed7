"""A clock that is set back while a trial runs: its result is as good as before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from service.storage.clock import Now
from service.storage.tables import AttemptRow, AttendanceRow, TrialRow
from tests.unit.service.driver import ON_SQLITE, Service, holding, measurement, start

HOUR = 3600.0


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    service = start(directory, lease_seconds=120.0, housekeeping_seconds=5.0)
    with service.client:
        yield service


@pytest.fixture
def lease(service: Service) -> dict[str, Any]:
    """Claimed an hour from now, by the clock as it is since it was set back."""
    service.submit()
    lease: dict[str, Any] = service.claim()
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at + HOUR))
        session.execute(update(TrialRow).values(lease_until=TrialRow.lease_until + HOUR))
        session.execute(update(AttemptRow).values(started_at=AttemptRow.started_at + HOUR))
    return lease


@pytest.fixture(params=["unseen", "seen"])
def noticed(request: pytest.FixtureRequest, service: Service, lease: dict[str, Any]) -> None:
    """Whether housekeeping has had a turn since."""
    if request.param == "seen":
        service.sweep()


@pytest.mark.usefixtures("noticed")
def test_a_good_result_is_taken(service: Service, lease: dict[str, Any]) -> None:
    assert service.report(lease, -1.0).json() == {"status": "accepted"}
    assert 0.0 <= _seconds(service) < HOUR


@ON_SQLITE
@pytest.mark.usefixtures("noticed")
def test_a_failure_is_answered(service: Service, lease: dict[str, Any]) -> None:
    assert service.report(lease, None).json() == {"status": "accepted"}
    assert 0.0 <= _seconds(service) < HOUR


@ON_SQLITE
@pytest.mark.usefixtures("noticed")
def test_a_trial_can_be_given_back(service: Service, lease: dict[str, Any]) -> None:
    path = f"/v1/leases/{lease['trial_id']}/release"
    assert service.post(path, holding(lease), "worker").status_code == 204
    assert 0.0 <= _seconds(service) < HOUR


def test_a_lease_that_runs_out_is_counted(service: Service, lease: dict[str, Any]) -> None:
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at - HOUR))
        session.execute(update(TrialRow).values(lease_until=Now() - 1))
    service.sweep()
    assert service.get(f"/v1/studies/{lease['study_id']}/trials")["items"][0]["expiries"] == 1
    assert _seconds(service) == 0.0


def test_a_result_that_took_longer_than_the_clock_says_is_taken(
    service: Service, lease: dict[str, Any]
) -> None:
    """It was claimed half an hour before the clock was set back by one."""
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(AttemptRow).values(started_at=AttemptRow.started_at - HOUR / 2))
    measured = measurement(-1.0, lease) | {"seconds": {"train": HOUR / 2 - 10.0}}
    assert service.report(lease, -1.0, measurement=measured).json() == {"status": "accepted"}
    assert HOUR / 2 - 10.0 < _seconds(service) < HOUR


def _seconds(service: Service) -> float:
    with service.app.state.runtime.database.reading() as session:
        (seconds,) = session.scalars(select(AttemptRow.seconds)).all()
    return float(seconds)


def test_the_result_of_an_expired_lease_is_taken_as_well(
    service: Service, lease: dict[str, Any]
) -> None:
    database = service.app.state.runtime.database
    with database.writing() as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at - HOUR))
        session.execute(update(TrialRow).values(lease_until=Now() - 1))
    service.sweep()
    with database.writing() as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at + HOUR))
    measured = measurement(-1.0, lease) | {"seconds": {"train": 20.0}}
    assert service.report(lease, -1.0, measurement=measured).json() == {"status": "accepted"}


def test_a_claim_made_since_is_none_from_before(service: Service) -> None:
    service.submit()
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(AttendanceRow).values(at=AttendanceRow.at + HOUR))
    lease = service.claim()
    assert service.report(lease, -1.0).json() == {"status": "accepted"}
    assert _seconds(service) < 60.0


def test_a_clock_that_was_set_on_and_back_unseen_spoils_no_result(service: Service) -> None:
    service.submit()
    lease = service.claim()
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(AttemptRow).values(started_at=AttemptRow.started_at + HOUR))
    assert service.report(lease, -1.0).json() == {"status": "accepted"}
    assert _seconds(service) == 0.0


def test_nothing_expires_by_a_clock_that_is_set_on_in_the_middle_of_a_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.submit()
    lease = service.claim()
    leases, database = service.app.state.runtime.leases, service.app.state.runtime.database
    with database.writing() as session:
        session.execute(update(TrialRow).values(lease_until=Now() - 1))
    attend = leases._attend

    def attend_and_set() -> None:
        attend()
        with database.writing() as session:
            session.execute(update(AttendanceRow).values(at=AttendanceRow.at - HOUR))

    with monkeypatch.context() as patch:
        patch.setattr(leases, "_attend", attend_and_set)
        leases.sweep()
    path = f"/v1/studies/{lease['study_id']}/trials"
    assert service.get(path)["items"][0]["expiries"] == 0
    service.sweep()
    assert service.get(path)["items"][0]["state"] == "running"
