"""Processes that die in the middle of a study on a real pretrained model."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from pruning.container.description import describe
from rankadaptor.client import Client
from service.planning.replay import replay
from tests.integration.conftest import stories_study
from tests.integration.fleet import LEASE_SECONDS, Fleet
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TRIALS = 20


def submit(fleet: Fleet, home: Path, trials: int) -> str:
    study = stories_study(home, trials)
    with fleet.client() as client:
        client.register(describe(Path(study.model)))
        return str(client.submit(study)["id"])


def trials_of(client: Client, study: str, purpose: str = "search") -> list[dict[str, Any]]:
    return [trial for trial in client.trials(study) if trial["purpose"] == purpose]


def done(client: Client, study: str) -> int:
    return sum(trial["state"] == "done" for trial in trials_of(client, study))


def vectors(client: Client, study: str) -> list[tuple[int, ...]]:
    return [tuple(trial["rank_vector"]) for trial in trials_of(client, study)]


def events_of(client: Client, study: str, kind: str) -> list[dict[str, Any]]:
    return [event for event in client.events(study) if event["kind"] == kind]


def assert_each_counted_once(client: Client, study: str) -> None:
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


def running_on(client: Client, study: str, worker: str) -> Sequence[int]:
    return [
        trial["id"]
        for trial in trials_of(client, study)
        if trial["state"] == "running" and trial["worker"] == worker
    ]


def test_a_killed_worker_s_trial_runs_again_within_one_lease(
    fleet: Fleet, pruned_stories: Path
) -> None:
    fleet.start_service()
    study = submit(fleet, pruned_stories, TRIALS)
    for name in ("first", "second"):
        fleet.start_worker(name)
    with fleet.client() as client:
        wait_for(lambda: done(client, study) >= 4, 120)
        (victim,) = wait_for(lambda: running_on(client, study, "first"), 60)
        fleet.kill("first")
        killed = time.monotonic()
        wait_for(lambda: any(e["trial"] == victim for e in events_of(client, study, "expired")), 60)
        assert time.monotonic() - killed <= LEASE_SECONDS + 2
        wait_for(lambda: victim in running_on(client, study, "second"), 60)
        under_way = max(trial["seconds"] or 0.0 for trial in trials_of(client, study))
        assert time.monotonic() - killed <= LEASE_SECONDS + 2 + 2 * under_way
        wait_for(lambda: client.study(study)["state"] == "done", 240)
        assert_each_counted_once(client, study)
        (again,) = [trial for trial in trials_of(client, study) if trial["id"] == victim]
        assert again["worker"] == "second"
        assert again["token"] == 2
        assert client.verdict(study).trials == TRIALS
    assert_replays(fleet, study)


def test_a_killed_service_goes_on_as_if_nothing_had_happened(
    fleet: Fleet, pruned_stories: Path
) -> None:
    """One worker: then the order of results, and so every proposal, is the same in both runs."""
    fleet.start_service()
    fleet.start_worker("only")
    undisturbed = submit(fleet, pruned_stories, TRIALS)
    with fleet.client() as client:
        wait_for(lambda: client.study(undisturbed)["state"] == "done", 240)
        expected = vectors(client, undisturbed)
    disturbed = submit(fleet, pruned_stories, TRIALS)
    for target in (4, 11):
        with fleet.client() as client:
            wait_for(lambda: done(client, disturbed) >= target, 120)  # noqa: B023 called at once
        fleet.kill("service")
        time.sleep(1.0)
        fleet.start_service()
    with fleet.client() as client:
        wait_for(lambda: client.study(disturbed)["state"] == "done", 240)
        assert vectors(client, disturbed) == expected
        assert_each_counted_once(client, disturbed)
        assert {trial["token"] for trial in trials_of(client, disturbed)} == {1}
    assert_replays(fleet, disturbed)


def test_a_killed_service_loses_nothing_of_two_workers(fleet: Fleet, pruned_stories: Path) -> None:
    fleet.start_service()
    study = submit(fleet, pruned_stories, TRIALS)
    for name in ("first", "second"):
        fleet.start_worker(name)
    with fleet.client() as client:
        wait_for(lambda: done(client, study) >= 6, 120)
    fleet.kill("service")
    time.sleep(2.0)
    fleet.start_service()
    with fleet.client() as client:
        wait_for(lambda: client.study(study)["state"] == "done", 240)
        assert_each_counted_once(client, study)
    assert_replays(fleet, study)
    assert all(process.poll() is None for process in fleet.processes.values())
