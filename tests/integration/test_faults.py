"""Processes that die in the middle of a study on a real pretrained model."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pruning.container.description import describe
from rankadaptor.rest.client import RestClient
from service.planning.replay import replay
from tests import waiting
from tests.integration.conftest import stories_study
from tests.integration.fleet import SERVICE, SHORT_LEASE_SECONDS, Fleet
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TRIALS = 14
STUDY_SECONDS = 500.0
"""Within which a study ends, however busy the machine is."""

wait_for = partial(waiting.wait_for, pause_seconds=0.1)
"""The service has better things to do than to answer this test."""


def submit(fleet: Fleet, home: Path, trials: int) -> str:
    study = stories_study(home, trials)
    with fleet.client() as client:
        client.register(describe(Path(study.model)))
        return str(client.submit(study)["id"])


def trials_of(client: RestClient, study: str, purpose: str = "search") -> list[dict[str, Any]]:
    return [trial for trial in client.trials(study) if trial["purpose"] == purpose]


def done(client: RestClient, study: str) -> int:
    return sum(trial["state"] == "done" for trial in trials_of(client, study))


def vectors(client: RestClient, study: str) -> list[tuple[int, ...]]:
    return [tuple(trial["rank_vector"]) for trial in trials_of(client, study)]


def events_of(client: RestClient, study: str, kind: str) -> list[dict[str, Any]]:
    return [event for event in client.events(study) if event["kind"] == kind]


def assert_each_counted_once(client: RestClient, study: str) -> None:
    search = trials_of(client, study)
    assert [trial["state"] for trial in search] == ["done"] * TRIALS
    counted = Counter(event["trial"] for event in events_of(client, study, "done"))
    assert {trial["id"] for trial in search} <= set(counted)
    assert set(counted.values()) == {1}


def assert_replays(fleet: Fleet, study: str) -> None:
    """Every proposal is the one the model makes from the accepted results in their order."""
    engine = create_engine(f"sqlite:///{fleet.home / 'rankadaptor.sqlite'}")
    with Session(engine) as session:
        assert replay(session, study) == ()
    engine.dispose()


def done_by(client: RestClient, study: str, worker: str) -> int:
    return sum(
        trial["state"] == "done" and trial["worker"] == worker for trial in client.trials(study)
    )


def running_on(client: RestClient, study: str, worker: str) -> Sequence[int]:
    return [
        trial["id"]
        for trial in trials_of(client, study)
        if trial["state"] == "running" and trial["worker"] == worker
    ]


def catch(fleet: Fleet, client: RestClient, study: str, worker: str, other: str) -> int:
    """Stop ``worker`` in the middle of a search trial; return that.

    What ``other`` finishes meanwhile shows that the service has answered what was under way.
    """
    while True:
        wait_for(lambda: running_on(client, study, worker))
        fleet.stop(worker)
        before = done_by(client, study, other)
        wait_for(lambda: done_by(client, study, other) > before)  # noqa: B023 called at once
        if held := running_on(client, study, worker):
            return held[0]
        fleet.go_on(worker)


def restart_service(fleet: Fleet, *workers: str) -> None:
    """Kill the service, and start it again when each of ``workers`` has missed it."""
    before = {worker: fleet.unanswered(worker) for worker in workers}
    fleet.kill(SERVICE)
    wait_for(lambda: all(fleet.unanswered(worker) > before[worker] for worker in workers))
    fleet.start_service()


def test_a_killed_worker_s_trial_is_the_next_once_its_lease_is_over(
    fleet: Fleet, pruned_stories: Path
) -> None:
    first, second = fleet.staff(2, lease_seconds=SHORT_LEASE_SECONDS)
    study = submit(fleet, pruned_stories, TRIALS)
    with fleet.client() as client:
        wait_for(lambda: done(client, study) >= 4, STUDY_SECONDS)
        victim = catch(fleet, client, study, first, second)
        fleet.kill(first)
        (expired,) = wait_for(
            lambda: [e for e in events_of(client, study, "expired") if e["trial"] == victim],
            SHORT_LEASE_SECONDS + PATIENCE_SECONDS,
        )
        wait_for(lambda: client.study(study)["state"] == "done", STUDY_SECONDS)
        claims = [e for e in events_of(client, study, "claimed") if e["id"] > expired["id"]]
        assert claims[0]["trial"] == victim
        assert_each_counted_once(client, study)
        (again,) = [trial for trial in trials_of(client, study) if trial["id"] == victim]
        assert again["worker"] == second
        assert again["token"] == 2
        assert client.verdict(study).trials == TRIALS
    assert_replays(fleet, study)


def test_a_killed_service_goes_on_as_if_nothing_had_happened(
    fleet: Fleet, pruned_stories: Path
) -> None:
    """One worker: then the order of results, and so every proposal, is the same in both runs."""
    (only,) = fleet.staff(1)
    undisturbed = submit(fleet, pruned_stories, TRIALS)
    with fleet.client() as client:
        wait_for(lambda: done(client, undisturbed) == TRIALS, STUDY_SECONDS)
        expected = vectors(client, undisturbed)
        client.cancel(undisturbed)
    disturbed = submit(fleet, pruned_stories, TRIALS)
    for target in (3, 8):
        with fleet.client() as client:
            wait_for(lambda: done(client, disturbed) >= target)  # noqa: B023 called at once
        restart_service(fleet, only)
    with fleet.client() as client:
        wait_for(lambda: client.study(disturbed)["state"] == "done", STUDY_SECONDS)
        assert vectors(client, disturbed) == expected
        assert_each_counted_once(client, disturbed)
        assert {trial["token"] for trial in trials_of(client, disturbed)} == {1}
    assert_replays(fleet, disturbed)


def test_a_killed_service_loses_nothing_of_two_workers(fleet: Fleet, pruned_stories: Path) -> None:
    workers = fleet.staff(2)
    study = submit(fleet, pruned_stories, TRIALS)
    with fleet.client() as client:
        wait_for(lambda: done(client, study) >= 4)
    restart_service(fleet, *workers)
    with fleet.client() as client:
        wait_for(lambda: client.study(study)["state"] == "done", STUDY_SECONDS)
        assert_each_counted_once(client, study)
    assert_replays(fleet, study)
    assert all(process.is_alive() for process in fleet.processes.values())
