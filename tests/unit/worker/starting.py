"""A worker that runs real trials, quick to leave, for the tests of its loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rankspace import Assignment, Measurement
from rankspace.lease import Capabilities
from rankspace.wire import encode
from tuning.training import OnStep
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator

Assign = Callable[..., Assignment]
Answer = tuple[int, Any]
Start = Callable[..., Worker]
Hook = Callable[[int], None]
NO_WORK: Answer = (204, None)

SECONDS = 30
"""To wait for what comes at once on a machine with nothing else to do."""

ENDLESS = 1_000_000
"""Steps of a trial that something else must end."""


@dataclass(frozen=True)
class Hooked:
    """The real evaluator; ``hook`` hears of every step, and no trial outlasts ``SECONDS``."""

    evaluator: Evaluator
    hook: Hook | None

    def capabilities(self) -> Capabilities:
        return self.evaluator.capabilities()

    @property
    def resumed_at(self) -> int:
        return self.evaluator.resumed_at

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement:
        end = time.monotonic() + SECONDS

        def stepping(step: int, loss: float) -> bool:
            if self.hook is not None:
                self.hook(step)
            return on_step(step, loss) or time.monotonic() > end

        return self.evaluator.evaluate(assignment, stepping, adapter_directory, kept)


def at_step(number: int, act: Callable[[], Any]) -> Hook:
    def hook(step: int) -> None:
        if step == number:
            act()

    return hook


def granted(assignment: Assignment) -> Answer:
    return (201, encode(assignment))


@pytest.fixture
def worker(client: LeaseClient, evaluator: Evaluator, spool: Spool) -> Start:
    def start(drain: Drain | None = None, hook: Hook | None = None, **patience: Any) -> Worker:
        quick = {"wait_seconds": 0.01, "away_seconds": 0.01, "until_idle_seconds": 0.05, **patience}
        return Worker(
            "w1",
            client,
            client,
            Hooked(evaluator, hook),
            spool,
            drain=drain or Drain(),
            patience=Patience(**quick),
        )

    return start
