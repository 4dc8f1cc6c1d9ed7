"""A trial that is told to stop ends early and reports what it has."""

from collections.abc import Callable
from typing import Any

from rankspace import Assignment, Measurement
from rankspace.lease import Action
from rankspace.wire import decode, encode
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator

STEPS = 3000


def test_a_stopped_trial_reports_fewer_steps_and_the_worker_goes_on(
    service: Any,
    client: LeaseClient,
    evaluator: Evaluator,
    spool: Spool,
    assign: Callable[..., Assignment],
) -> None:
    doomed = assign(steps=STEPS, heartbeat_seconds=0.2)
    service.say("claim", (201, encode(doomed)), (201, encode(assign(trial_id=2))), (204, None))
    service.say("heartbeat", (200, {"lease_seconds": 60, "action": Action.STOP}))
    patience = Patience(wait_seconds=0.01, until_idle_seconds=0.3)
    worker = Worker("w1", client, client, evaluator, spool, drain=Drain(), patience=patience)
    assert worker.run() == 2
    first, second = service.bodies("report")
    stopped, whole = (decode(Measurement, body["measurement"]) for body in (first, second))
    assert first["outcome"] == "done"
    assert 0 < stopped.steps < STEPS
    assert stopped.loss > 0
    assert whole.steps == assign().steps
