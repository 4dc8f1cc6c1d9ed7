"""A trial's life in any order: hypothesis moves, a model foretells, the history is checked."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from bench.chaos.history import Counted, Event, Findings, History, check
from rankspace.errors import LeaseLost
from rankspace.lease import PROTOCOL, Action, Claim, Heartbeat, Release, Report
from rankspace.wire import decode
from service.leases import workflow
from service.storage.clock import Now
from service.storage.tables import EventRow, ObservationRow, TrialRow
from tests.unit.service.driver import ANYBODY, Service, measurement, model, start

pytestmark = pytest.mark.slow

WORKERS = [f"w{number}" for number in range(4)]
LEASE_SECONDS = 60.0
NOTHING = measurement(-1.0, {"rank_vector": {"ranks": []}, "layers": []})


@dataclass(frozen=True)
class Lease:
    """A claim as its worker knows it."""

    trial: int
    token: int
    worker: str
    study: str
    price: int = 0


class LifeCycle(RuleBasedStateMachine):
    """Moves of workers and of time on one study, beside what must come of them."""

    service: Service
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.database = self.service.app.state.runtime.database
        search = {
            "ranks": [0, 1, 2],
            "budget": {"parameters": "uniform:1", "trials": 6},
            "trial": {"steps": 10},
            "strategy": "random",
        }
        self.study = self.service.submit(search=search)
        self.current: dict[int, Lease] = {}
        self.held: dict[int, bool] = {}
        self.over: dict[int, Lease | None] = {}
        self.expiries: dict[int, int] = {}
        self.cancelled = False

    def teardown(self) -> None:
        if not self.cancelled and self._state() not in ("done", "failed"):
            self.service.post(f"/v1/studies/{self.study}/cancel")

    def _state(self) -> str:
        return str(self.service.get(f"/v1/studies/{self.study}")["state"])

    def _holds(self, worker: str) -> Lease | None:
        mine = (lease for trial, lease in self.current.items() if self.held[trial])
        return next((lease for lease in mine if lease.worker == worker), None)

    @rule(target=leases, worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> Lease:
        self.service.app.state.runtime.planning.ask(self.study).result(30)
        with self.database.writing() as session:
            row = workflow.claim(session, Claim(worker, PROTOCOL), LEASE_SECONDS, ANYBODY)
            found = None if row is None else _lease(row, worker)
        before = self._holds(worker)
        if before is not None:
            assert found == before
            return before
        if found is None:
            return Lease(0, 1, worker, self.study)
        last = self.current.get(found.trial)
        assert last is None or found.token == last.token + 1
        assert found.trial not in self.over
        assert not self.held.get(found.trial, False)
        self.current[found.trial], self.held[found.trial] = found, True
        return found

    def _is_current(self, lease: Lease) -> bool:
        return self.current.get(lease.trial) == lease and lease.trial not in self.over

    @rule(lease=leases.filter(lambda lease: lease.trial > 0))
    def beat(self, lease: Lease) -> None:
        given = Heartbeat(lease.worker, lease.token, lease.study, ((1.0, 2.0),))
        with self.database.writing() as session:
            try:
                answer, _ = workflow.heartbeat(session, lease.trial, given, LEASE_SECONDS, ANYBODY)
            except LeaseLost:
                assert not (self._is_current(lease) and self.held[lease.trial])
                return
        if answer.action is Action.CANCEL:
            assert self.cancelled
        else:
            assert self._is_current(lease)
            assert self.held[lease.trial]

    @rule(lease=leases.filter(lambda lease: lease.trial > 0), fails=st.booleans())
    def report(self, lease: Lease, fails: bool) -> None:
        given = decode(Report, _body(lease, fails=fails))
        with self.database.writing() as session:
            try:
                status = str(workflow.report(session, lease.trial, given, ANYBODY).status)
            except LeaseLost:
                status = "lost"
        if self.over.get(lease.trial) == lease:
            assert status == "duplicate"
        elif self._is_current(lease) and not self.cancelled:
            assert status == "accepted"
            self.over[lease.trial], self.held[lease.trial] = lease, False
        else:
            assert status == "lost"

    @rule(lease=leases.filter(lambda lease: lease.trial > 0))
    def release(self, lease: Lease) -> None:
        given = Release(lease.worker, lease.token, lease.study)
        with self.database.writing() as session:
            try:
                workflow.release(session, lease.trial, given, ANYBODY)
            except LeaseLost:
                assert not (self._is_current(lease) and self.held[lease.trial])
                return
        if self._is_current(lease):
            self.held[lease.trial] = False

    @rule(lease=leases.filter(lambda lease: lease.trial > 0))
    def time_passes(self, lease: Lease) -> None:
        """One lease runs out; no other does."""
        late = update(TrialRow).where(TrialRow.id == lease.trial, TrialRow.state == "running")
        with self.database.writing() as session:
            session.execute(late.values(lease_until=Now() - 1))
        with self.database.writing() as session:
            taken = [row.id for row in workflow.expire(session, self.study) or ()]
        was_held = self.held.get(lease.trial, False) and lease.trial not in self.over
        assert taken == ([lease.trial] if was_held else [])
        if was_held:
            self._note_expiry(lease.trial)

    def _note_expiry(self, trial: int) -> None:
        self.held[trial] = False
        self.expiries[trial] = self.expiries.get(trial, 0) + 1
        if self.expiries[trial] == workflow.MAX_EXPIRIES:
            self.over[trial] = None

    @rule(worker=st.sampled_from(WORKERS))
    def restart(self, worker: str) -> None:
        """The worker is killed, and the new process of its name asks for the first time."""
        with self.database.writing() as session:
            left = workflow.expire_orphan(session, worker, "new", ANYBODY)
        before = self._holds(worker)
        assert (left and left.id) == (before and before.trial)
        if before is not None:
            self._note_expiry(before.trial)

    @precondition(lambda self: not self.cancelled and len(self.over) >= 3)
    @rule()
    def cancel(self) -> None:
        if self._state() in ("done", "failed"):
            return
        self.service.post(f"/v1/studies/{self.study}/cancel")
        self.cancelled = True
        for trial in self.held:
            self.held[trial] = False
            self.over.setdefault(trial, None)

    @invariant()
    def the_history_is_right(self) -> None:
        found = check(self._history())
        open_trials = [line for line in found.lost if line.endswith(("queued", "running"))]
        assert replace(found, lost=[x for x in found.lost if x not in open_trials]) == Findings()

    def _history(self) -> History:
        with self.database.reading() as session:
            trials = select(TrialRow.id, TrialRow.state).where(TrialRow.study_id == self.study)
            events = select(EventRow).where(EventRow.study_id == self.study).order_by(EventRow.id)
            counted = select(ObservationRow).where(ObservationRow.study_id == self.study)
            return History(
                states={row.id: row.state for row in session.execute(trials)},
                events=[
                    Event(e.trial_id, e.kind, e.content.get("token"), e.created_at)
                    for e in session.scalars(events)
                    if e.trial_id is not None
                ],
                counted=[
                    Counted(o.trial_id, o.study_id, o.sequence, o.token, o.score)
                    for o in session.scalars(counted)
                ],
                acknowledged=(),
            )


def _lease(row: TrialRow, worker: str) -> Lease:
    costs = [matrix["d_in"] + matrix["d_out"] for matrix in model()["matrices"]]
    price = row.rank_vector.parameters(costs)
    return Lease(row.id, row.token, worker, row.study_id, price)


def _body(lease: Lease, *, fails: bool) -> dict[str, Any]:
    return {
        "worker": lease.worker,
        "token": lease.token,
        "study_id": lease.study,
        "outcome": "failed" if fails else "done",
        "measurement": None if fails else {**NOTHING, "parameters": lease.price},
        "error": "on purpose" if fails else None,
    }


EXAMPLES = {"sqlite": 12, "postgresql": 6}
"""Histories of each database: what differs between the two is how a move is written."""


@pytest.fixture
def lone(directory: Path) -> Iterator[Service]:
    """A service on which nothing else runs."""
    running = start(directory)
    with running.client:
        yield running


def test_any_order_of_moves(lone: Service) -> None:
    machine = type("Bound", (LifeCycle,), {"service": lone})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES[lone.app.state.runtime.database.engine.dialect.name],
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # shrinking takes minutes, and thirty moves can be read
            suppress_health_check=list(HealthCheck),
        ),
    )
