"""The gate: a small chaos run on either database. ``python -m bench.chaos`` is the large one."""

from dataclasses import replace

import pytest

from bench.chaos.faults import PATIENCE_SECONDS, Menu
from bench.chaos.run import Order, run
from bench.chaos.site import Kind
from tests.services import Missing, skip_or_fail

pytestmark = [pytest.mark.integration, pytest.mark.soak]

TRIALS = 80
EACH_FAULT = Menu(5, 3, 1, 1, 1, 1, 2, 2)


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_nothing_is_lost_or_counted_twice_whatever_dies(kind: Kind) -> None:
    try:
        outcome = run(Order(TRIALS, 8, 3, EACH_FAULT, kind, most_seconds=240), print)
    except Missing as missing:
        skip_or_fail(missing)
        return
    assert replace(outcome.findings, slow=[]).all == []  # how slow, ``python -m bench.chaos`` says
    assert outcome.problems == []
    assert outcome.trials >= TRIALS
    assert outcome.faults["worker_kills"] == EACH_FAULT.worker_kills
    assert outcome.closed.paused == outcome.closed.studies == 1
    assert outcome.faults["redis_wipes"] == len(outcome.refills)
    assert all(seconds < PATIENCE_SECONDS for seconds in outcome.refills)
