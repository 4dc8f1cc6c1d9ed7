"""Trials whose files a worker cannot open are given back with the reason; the worker goes on."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rankspace import Assignment, Measurement
from tests.unit.worker.starting import NO_WORK, Assign, Hooked, Start, granted

pytestmark = pytest.mark.slow


def elsewhere(changes: dict[str, Any], assignment: Assignment) -> Assignment:
    """Return the trial with other files: ``data`` replaces the training data's path."""
    recipe = assignment.recipe
    if "data" in changes:
        recipe = replace(recipe, data=replace(recipe.data, train=changes["data"]))
    others = {name: value for name, value in changes.items() if name != "data"}
    return replace(assignment, recipe=recipe, **others)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_path": "/absent", "model_fingerprint": "1" * 64}, "/absent"),
        ({"model_fingerprint": "0" * 64}, "fingerprint"),
        ({"data": "/absent.txt"}, "/absent.txt"),
    ],
)
def test_a_worker_that_cannot_open_the_files_gives_the_trial_back_and_serves_others(
    service: Any, worker: Start, assign: Assign, changes: dict[str, Any], problem: str
) -> None:
    """Reported as failed, trial after trial, it would eat the whole study in seconds."""
    closed, sound = elsewhere(changes, assign(trial_id=1)), assign(trial_id=2)
    service.say("claim", granted(closed), granted(sound), NO_WORK)
    assert worker().run() == 1
    (released,) = service.bodies("release")
    assert re.search(f"{problem}.*; ", released["reason"])
    (reported,) = service.bodies("report")
    assert (reported["outcome"], service.seen[-1][0]) == ("done", "claim")


def test_looking_long_for_files_is_not_idling(
    service: Any, worker: Start, assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that leaves when idle would leave with work waiting."""
    evaluate = Hooked.evaluate

    def searching(self: Hooked, assignment: Assignment, *rest: Any) -> Measurement:
        if assignment.trial_id == 1:
            time.sleep(0.06)
        return evaluate(self, assignment, *rest)

    monkeypatch.setattr(Hooked, "evaluate", searching)
    closed = elsewhere({"data": "/absent.txt"}, assign(trial_id=1))
    service.say("claim", granted(closed), granted(assign(trial_id=2)), NO_WORK)
    assert worker(until_idle_seconds=0.05).run() == 1


def test_data_that_no_worker_could_use_are_no_fault_of_the_trial(
    service: Any, worker: Start, assign: Assign, tmp_path: Path
) -> None:
    """The service bars who gives it back, and pauses a study that nobody can run."""
    (tmp_path / "short.txt").write_text("a cat sat")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    short = elsewhere({"data": str(tmp_path / "short.txt")}, assign())
    latin = elsewhere({"data": str(tmp_path / "latin.txt")}, assign(trial_id=2))
    service.say("claim", granted(short), granted(latin), NO_WORK)
    assert worker().run() == 0
    reasons = [body["reason"] for body in service.bodies("release")]
    assert [reason.partition(" = ")[0] for reason in reasons] == [
        "recipe.data.held_out",
        "recipe.data.train",
    ]
    assert service.bodies("report") == []
