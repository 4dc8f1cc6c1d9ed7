"""Several services on one PostgreSQL: nothing twice, nothing lost, the proposals of one alone."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.leases import workflow
from service.leases.repository import Leases
from service.planning.replay import replay
from service.storage.db import _ATTEMPT
from service.storage.events import Events
from service.storage.tables import AttemptRow, EventRow, ObservationRow, TrialRow, WorkerRow
from service.studies.repository import Studies
from service.trials.repository import Trials
from service.workers.repository import Workers
from tests.unit.service.driver import ANYBODY, Service, score, start, study
from tests.unit.service.leases.test_racing import begun, heartbeat

TURNS = 12
"""Trials of a study whose services take turns: the search, and a round or more of what follows."""

SOON = 30.0
"""Twice what PostgreSQL lets anybody wait for a lock."""

pytestmark = pytest.mark.parametrize("directory", ["postgresql"], indirect=True)


@pytest.fixture
def pair(directory: Path) -> Iterator[tuple[Service, Service]]:
    """Two services on one database, each with its own planning thread and results."""
    with ExitStack() as stack:
        replicas = start(directory), start(directory)
        for replica in replicas:
            stack.enter_context(replica.client)
        yield replicas


def _vectors(service: Service, study: str) -> list[Any]:
    trials = service.get(f"/v1/studies/{study}/trials?limit=1000")["items"]
    return [(trial["purpose"], trial["rank_vector"]) for trial in trials]


def _searches(service: Service, study: str) -> bool:
    return bool(service.get(f"/v1/studies/{study}")["state"] == "searching")


def test_one_worker_between_two_services_gets_what_one_service_proposes(
    pair: tuple[Service, Service],
) -> None:
    both, alone = pair[0].submit(), pair[0].submit(name="alone")
    for service in pair[:1]:
        service.post(f"/v1/studies/{alone}/pause")
    for turn in range(TURNS):
        lease = pair[turn % 2].claim("w1")
        assert pair[(turn + 1) % 2].report(lease, score(lease)).status_code == 200
    pair[0].sweep()
    pair[0].post(f"/v1/studies/{both}/pause")
    pair[0].post(f"/v1/studies/{alone}/resume")
    assert len(pair[0].work(TURNS)) == TURNS
    pair[0].sweep()
    assert pair[1].get(f"/v1/studies/{both}")["progress"]["verify"]["done"] == TURNS - 7
    assert _vectors(pair[0], both) == _vectors(pair[0], alone)


def test_many_workers_on_two_services_count_everything_once(
    pair: tuple[Service, Service],
) -> None:
    search = {**study()["search"], "budget": {"parameters": "uniform:2", "trials": 24}}
    identities = [pair[0].submit(search=search), pair[1].submit(search=search)]

    def work(number: int) -> None:
        service = pair[number % 2]
        while True:
            if lease := service.claim(f"w{number}", wait=0.2):
                answer = service.report(lease, score(lease), worker=f"w{number}")
                assert answer.status_code == 200, answer.text
            is_search = lease is not None and lease["purpose"] == "search"
            if not is_search and not any(_searches(pair[0], one) for one in identities):
                return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    with pair[0].app.state.runtime.database.reading() as session:
        for identity in identities:
            assert replay(session, identity) == ()
        of_trials = (EventRow.kind == "done") & EventRow.trial_id.is_not(None)
        done = session.scalars(select(EventRow.trial_id).where(of_trials)).all()
        assert max(Counter(done).values()) == 1
        assert len(done) == session.scalar(select(func.count()).select_from(ObservationRow))
        claims = session.scalars(select(AttemptRow.token)).all()
        assert set(claims) == {1}  # nobody was given what somebody else held
        for identity in identities:
            mine = select(ObservationRow.sequence).where(ObservationRow.study_id == identity)
            sequence = session.scalars(mine.order_by(ObservationRow.sequence)).all()
            assert sequence == list(range(1, len(sequence) + 1))


def test_a_renewal_that_comes_first_keeps_the_trial(service: Service) -> None:
    """Expiry looks for late trials, then takes them: a heartbeat may come in between."""
    identity = service.submit()
    lease = service.claim()
    database = service.app.state.runtime.database
    service.let_leases_run_out()
    with database.writing() as session:
        late = Leases(session).late(identity)
        with database.writing() as other:
            Leases(other).renew(lease["trial_id"], lease["token"], 60.0)
        assert [row.id for row in late] == [lease["trial_id"]]
        assert not Leases(session).expire(lease["trial_id"], lease["token"], None)
    with database.reading() as session:
        assert session.get_one(TrialRow, lease["trial_id"]).state == "running"


def test_two_housekeepings_do_not_wait_for_each_other(service: Service) -> None:
    identity = service.submit()
    service.claim()
    service.let_leases_run_out()
    database = service.app.state.runtime.database
    with database.writing() as busy:
        Studies(busy).lock(identity)
        with database.writing() as session:
            assert workflow.expire(session, identity) is None
    with database.writing() as session:
        assert len(workflow.expire(session, identity) or ()) == 1


def test_a_stop_waits_for_its_turn_in_the_history(service: Service) -> None:
    """A reader that follows by the last event's number would miss one that comes out of order."""
    identity = begun(service)
    lease = service.claim()
    database = service.app.state.runtime.database
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as busy:
            Studies(busy).lock(identity)
            stopped = pool.submit(heartbeat, service, lease, 9.0, 12)
            assert not wait([stopped], timeout=0.5).done
            with database.reading() as session:
                seen = Events(session).last(identity)
            Events(busy).record("late", identity)
        assert stopped.result(SOON) == "stop"
    with database.reading() as session:
        told = [event.kind for event in Events(session).after(identity, seen, 10)]
    assert told == ["late", "stopped"]


def test_the_very_first_requests_of_a_worker_take_turns(service: Service) -> None:
    database = service.app.state.runtime.database
    came_second, go = Event(), Event()

    def second() -> None:
        with database.writing() as session:
            Workers(session).touch("new", ANYBODY)
            came_second.set()
            assert go.wait(SOON)

    third = select(WorkerRow.name).where(WorkerRow.name == "new").with_for_update(skip_locked=True)
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            Workers(session).touch("new", ANYBODY)
            inside = pool.submit(second)
            assert not came_second.wait(0.5)
        assert came_second.wait(SOON)
        with database.writing() as session:
            assert session.scalar(third) is None  # it waits for the second
        go.set()
        inside.result(SOON)


def test_expiry_waits_for_a_study_that_was_busy_twice(service: Service) -> None:
    with ThreadPoolExecutor(1) as pool:
        identity = service.submit()
        lease = service.claim()
        service.let_leases_run_out()
        leases, database = service.app.state.runtime.leases, service.app.state.runtime.database
        with database.writing() as busy:
            Studies(busy).lock(identity)
            leases.sweep()
            leases.sweep()
            third = pool.submit(leases.sweep)
            assert not wait([third], timeout=0.5).done
        third.result(SOON)
        with database.reading() as session:
            assert session.get_one(TrialRow, lease["trial_id"]).expiries == 1


def _grant_grace(session: Session, _study: str) -> None:
    Leases(session).grant_grace(600.0, 300.0)


def _cancel_all(session: Session, study: str) -> None:
    Trials(session).cancel_all(study)


@pytest.mark.parametrize("move", [_grant_grace, _cancel_all])
def test_who_locks_many_trials_begins_with_the_first(service: Service, move: Any) -> None:
    """Two that lock the same in different orders would wait for each other."""
    identity = service.submit()
    first, *_, last = (service.claim(f"w{number}")["trial_id"] for number in range(4))
    database = service.app.state.runtime.database

    def is_free(trial: int) -> bool:
        one = select(TrialRow.id).where(TrialRow.id == trial)
        with database.writing() as session:
            return session.scalar(one.with_for_update(skip_locked=True)) is not None

    def moved() -> None:
        with database.writing() as session:
            move(session, identity)

    with database.writing() as session:  # the first now lies behind the last in the file
        session.execute(update(TrialRow).where(TrialRow.id == first).values(priority=1))
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            session.execute(update(TrialRow).where(TrialRow.id == first).values(priority=2))
            waiting = pool.submit(moved)
            assert not wait([waiting], timeout=0.5).done
            assert is_free(last)
        waiting.result(SOON)
    assert is_free(last)


def test_a_service_stopped_in_the_middle_of_a_plan_stops_no_other(
    pair: tuple[Service, Service],
) -> None:
    stuck, other = pair[0].submit(name="stuck"), pair[0].submit(name="other")
    database, planning = (getattr(pair[1].app.state.runtime, n) for n in ("database", "planning"))
    with database.engine.connect() as stopped:
        assert stopped.scalar(_ATTEMPT, {"what": f"plan {stuck}"})
        for study in (stuck, other):
            planning.ask(study)
        planning.ask(other).result(SOON)
        given_up = planning.ask(stuck)
        planning.close()
        assert given_up.done()
    assert pair[0].app.state.runtime.planning.ask(stuck).result(SOON) is None
