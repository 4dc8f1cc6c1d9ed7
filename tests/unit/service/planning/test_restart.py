"""A crash at any point loses nothing and changes no proposal."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from service.planning.replay import replay
from service.storage.tables import AttendanceRow
from tests.unit.service.driver import Service, holding, score, start

pytestmark = pytest.mark.slow

CRASHES, LAST = 10, 2
"""Trials after which the service crashes: the first ones, with all of the search, and the last."""


def _essence(trials: Sequence[Any]) -> list[tuple[str, tuple[int, ...], int]]:
    return [(t["purpose"], tuple(t["rank_vector"]["ranks"]), t["seed"]) for t in trials]


def _crash_after_commit(service: Service) -> None:
    """Let the next report be committed, and the process die before the study advances."""
    lease = service.claim()
    service.app.state.runtime.planning.close()
    assert service.report(lease, score(lease)).json() == {"status": "accepted"}


@pytest.fixture(scope="module")
def uninterrupted(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, tuple[int, ...], int]]:
    """All trials of the study where nothing crashes."""
    service = start(Path(shutil.copytree(migrated, tmp_path_factory.mktemp("whole") / "data")))
    with service.client:
        service.submit()
        return _essence(service.work())


def test_crashes_between_report_and_advance_change_nothing(
    directory: Path, uninterrupted: Any
) -> None:
    ran: list[tuple[str, tuple[int, ...], int]] = []
    for crash in range(100):
        service = start(directory)
        with service.client:
            if crash == 0:
                service.submit()
            if crash == CRASHES:
                ran += _essence(service.work(len(uninterrupted) - CRASHES - LAST))
            lease = service.claim()
            if lease is None:
                break
            ran += _essence([lease])
            _crash_after_commit(service)
    assert crash == CRASHES + LAST
    assert ran == uninterrupted


def test_crash_with_a_trial_running_gives_it_back_to_its_worker(
    directory: Path, uninterrupted: Any
) -> None:
    first = start(directory)
    with first.client:
        study = first.submit()
        before = first.work(4)
        lease = first.claim()
    second = start(directory)
    with second.client:
        assert second.claim() == lease
        assert _essence([*before, *second.work()]) == uninterrupted
        with second.app.state.runtime.database.reading() as session:
            assert replay(session, study) == ()


def test_two_workers_and_a_crash_replay_without_mismatch(directory: Path) -> None:
    first = start(directory)
    with first.client:
        study = first.submit()
        held = first.claim("w2")
        first.work(3)
        _crash_after_commit(first)
    second = start(directory)
    with second.client:
        again = second.claim("w2")
        inputs = again.pop("inputs"), held.pop("inputs")  # the first result says what they are
        assert inputs == ({**inputs[1], "reading": 1}, inputs[1])
        assert again == held
        second.report(held, score(held), worker="w2")
        second.work()
        assert second.get(f"/v1/studies/{study}")["state"] == "done"
        with second.app.state.runtime.database.reading() as session:
            assert replay(session, study) == ()


def test_absence_of_the_service_is_not_held_against_workers(directory: Path) -> None:
    first = start(directory)
    with first.client:
        first.submit()
        lease = first.claim()
        first.let_leases_run_out()
        with first.app.state.runtime.database.writing() as session:
            session.execute(update(AttendanceRow).values(at=AttendanceRow.at - 600.0))
    second = start(directory)
    with second.client:
        path = f"/v1/leases/{lease['trial_id']}/heartbeat"
        assert second.post(path, holding(lease), "worker").status_code == 200


def test_a_study_that_cannot_go_on_fails_visibly(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = service.submit()
    lease = service.claim()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("service.planning.study_results.learned", broken)
    assert service.report(lease, -2.5).json() == {"status": "accepted"}
    service.sweep()
    view = service.get(f"/v1/studies/{study}")
    assert (view["state"], view["stage"]) == ("failed", "searching")
    assert "planted" in view["error"]
    monkeypatch.undo()
    assert service.post(f"/v1/studies/{study}/resume").json()["state"] == "searching"
    service.work()
    assert service.get(f"/v1/studies/{study}")["state"] == "done"
