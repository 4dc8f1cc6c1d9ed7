"""A long trial that was cut off goes on where it stood; anything else begins anew."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement, RankVector
from rankspace.lease import CONFIG, WEIGHTS, SurveyOrder
from rankspace.trial import Purpose, Split
from tests.unit.worker.checkpoints.keeping import STATE, checkpoints, keeper, told
from tests.unit.worker.starting import ENDLESS, NO_WORK, Hooked, at_step, granted
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.run import _checkpoints
from worker.settings import Settings
from worker.trial.checkpoints import Checkpoints, statement_of
from worker.trial.evaluation import Evaluator

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")
CUT = 7
"""The step after which the first attempt is cut off."""


class Killed(Exception):
    """The worker's process ended."""


@dataclass
class Steps:
    """Hears of every step; the process ends after ``last``."""

    last: int | None = None
    said: list[int] = field(default_factory=list)

    def __call__(self, step: int, loss: float) -> bool:
        self.said.append(step)
        if step == self.last:
            raise Killed
        return False


def checked(directory: Path, every_seconds: float = 0.0) -> Evaluator:
    """A worker that has just started, and keeps every step."""
    keeping = Checkpoints(directory, every_seconds, clock=lambda: 0.0)  # writing takes no time
    return Evaluator(CPU, checkpoints=keeping)


def cut_off(directory: Path, assignment: Assignment, every_seconds: float = 0.0) -> None:
    with pytest.raises(Killed):
        checked(directory, every_seconds).evaluate(assignment, Steps(CUT))


@pytest.mark.slow
def test_a_recovery_given_again_comes_to_the_same_in_fewer_steps(
    directory: Path, recovery: Assignment, tmp_path: Path
) -> None:
    whole = Evaluator(CPU).evaluate(recovery, Steps(), tmp_path / "whole")
    cut_off(directory, recovery)
    again, steps = replace(recovery, token=2, lease_seconds=9.0), Steps()
    evaluator = checked(directory)
    with capture_logs() as logs:
        found = evaluator.evaluate(again, steps, tmp_path / "again")
    assert _lasting(found) == _lasting(whole)
    for name in (WEIGHTS, CONFIG):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert evaluator.resumed_at == CUT
    assert told(logs, "trial_resumed")[0] == {
        "event": "trial_resumed",
        "log_level": "info",
        "step": CUT,
        "steps": 10,
    }
    assert steps.said == list(range(1, 11))


def _lasting(measured: Measurement) -> Measurement:
    return replace(measured, seconds={}, peak_bytes=0)


@pytest.mark.slow
def test_a_survey_goes_on_too(directory: Path, assign: Assign) -> None:
    most = RankVector((3,) * 21)
    pool = tuple((rank,) * 21 for rank in (0, 1, 3))
    survey = assign(
        purpose=Purpose.SURVEY, rank_vector=most, survey=SurveyOrder(pool, pool), steps=9
    )
    whole = Evaluator(CPU).evaluate(survey, Steps())
    cut_off(directory, survey)
    evaluator = checked(directory)
    assert _lasting(evaluator.evaluate(survey, Steps())) == _lasting(whole)
    assert evaluator.resumed_at == CUT


@pytest.mark.slow
def test_whole_epochs_go_on_too(directory: Path, assign: Assign) -> None:
    epochs = assign(steps=0, epochs=1)
    whole = Evaluator(CPU).evaluate(epochs, Steps())
    cut_off(directory, epochs)
    evaluator = checked(directory)
    assert _lasting(evaluator.evaluate(epochs, Steps())) == _lasting(whole)
    assert evaluator.resumed_at == CUT
    evaluator.evaluate(replace(epochs, trial_id=2, rank_vector=RankVector((0,) * 21)), Steps())
    assert evaluator.resumed_at == 0  # of the latest trial, which trains nothing


CHANGES: dict[str, Callable[[Assignment], dict[str, Any]]] = {
    "seed": lambda _: {"seed": 1},
    "rank_vector": lambda given: {"rank_vector": RankVector((2, *given.rank_vector.ranks[1:]))},
    "recipe": lambda given: {"recipe": given.recipe.at_rate(2.0)},
    "keep_adapter": lambda _: {"keep_adapter": False},
    "split": lambda _: {"split": Split.SELECTION},
    "purpose": lambda _: {"purpose": Purpose.VERIFY},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_of_anything_else_is_ignored_and_it_is_said_why(
    directory: Path, recovery: Assignment, name: str
) -> None:
    kept = statement(recovery)
    other = statement(replace(recovery, **CHANGES[name](recovery)))
    assert {key for key in kept if kept[key] != other[key]} >= {name}
    assert _found(directory, recovery, kept, other) == [name]


def statement(assignment: Assignment) -> dict[str, Any]:
    inputs = replace(assignment.inputs, data="a" * 64, tokenizer="b" * 64, reading=1)
    stated = statement_of(
        assignment, inputs, CPU, torch.float32, steps=assignment.steps, back_end="peft"
    )
    return dict(stated)


@pytest.mark.parametrize(
    "name",
    [
        "model_fingerprint",
        "data_sha256",
        "tokenizer_sha256",
        "data_reading",
        "base_dtype",
        "device_type",
        "machine",
        "cpu_capability",
        "back_end",
        "steps",
        "training_steps",
        "trial_id",
        "study_id",
        "epochs",
        "layers",
        *(
            f"versions.{name}"
            for name in ("torch", "peft", "transformers", "rankadaptor", "device")
        ),
    ],
)
def test_each_field_of_the_statement_is_compared(
    directory: Path, recovery: Assignment, name: str
) -> None:
    kept = statement(recovery)
    assert name in kept
    assert _found(directory, recovery, kept, {**kept, name: "other"}) == [name]
    fewer = {key: value for key, value in kept.items() if key != name}
    assert _found(directory, recovery, kept, fewer) == [name]


@pytest.mark.parametrize("name", ["token", "lease_seconds", "study_name", "model_path"])
def test_what_does_not_determine_the_result_is_not_compared(
    recovery: Assignment, name: str
) -> None:
    other: dict[str, Any] = {name: "x" if isinstance(getattr(recovery, name), str) else 9}
    assert statement(replace(recovery, **other)) == statement(recovery)


def _found(
    directory: Path, assignment: Assignment, theirs: dict[str, Any], ours: dict[str, Any]
) -> list[str]:
    """Keep a state under one statement, look for it under another; name what was not equal."""
    made, sought = (keeper(directory, assignment, said) for said in (theirs, ours))
    made.keep(STATE)
    with capture_logs() as logs:
        assert sought.found() is None
    (ignored,) = told(logs, "checkpoint_ignored")
    return [part.split(" was ")[0] for part in ignored["problem"].split("; ")]


def test_a_damaged_checkpoint_is_refused_and_the_trial_begins_anew(
    directory: Path, recovery: Assignment
) -> None:
    cut_off(directory, recovery)
    (path,) = directory.glob("*.checkpoint")
    content = path.read_bytes()
    for harmed, mode in (
        (content[: len(content) // 2], 0o600),
        (content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], 0o600),
        (content, 0o666),
    ):
        for one in directory.iterdir():  # what the trial kept that began anew
            one.unlink()
        path.write_bytes(harmed)
        path.chmod(mode)
        evaluator, steps = checked(directory), Steps(1)
        with capture_logs() as logs, pytest.raises(Killed):
            evaluator.evaluate(recovery, steps)
        assert told(logs, "checkpoint_refused")[0]["file"] == path.name
        assert (evaluator.resumed_at, steps.said) == (0, [1])


def test_a_trial_shorter_than_an_interval_leaves_nothing(
    directory: Path, recovery: Assignment
) -> None:
    cut_off(directory, recovery, every_seconds=300.0)
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_written_costs_the_checkpoint_only(
    tmp_path: Path, recovery: Assignment
) -> None:
    with capture_logs() as logs:
        found = checked(tmp_path / "gone").evaluate(recovery, Steps())
    assert found.steps == 10
    assert len(told(logs, "checkpoint_not_kept")) == 1


@pytest.fixture
def leaving(directory: Path) -> Callable[[int], tuple[Drain, Evaluator]]:
    """A worker that is asked to leave in the middle of a step."""

    def start(at: int) -> tuple[Drain, Evaluator]:
        drain, asked = Drain(), iter(range(1, 1000))

        def left_seconds() -> float | None:
            if next(asked) == at:
                drain.request()
            return drain.left_of(60.0)

        return drain, Evaluator(CPU, checkpoints=Checkpoints(directory, 300.0, left_seconds))

    return start


@pytest.mark.slow
def test_a_recovery_that_is_given_back_goes_on_when_it_is_given_again(
    service: Any,
    client: LeaseClient,
    directory: Path,
    recovery: Assignment,
    leaving: Callable[[int], tuple[Drain, Evaluator]],
) -> None:
    service.leases.queue(recovery)
    for at in (CUT, ENDLESS):
        drain, evaluator = leaving(at)
        patience = Patience(wait_seconds=0.01, until_idle_seconds=0.3)
        Worker(
            "w1", client, client, evaluator, Spool(directory), drain=drain, patience=patience
        ).run()
    assert len(service.bodies("release")) == 1
    assert evaluator.resumed_at == CUT
    (report,) = service.bodies("report")
    assert (report["token"], report["measurement"]["steps"]) == (2, 10)
    assert checkpoints(directory) == []


@pytest.mark.slow
def test_steps_of_a_checkpoint_do_not_make_a_trial_look_nearly_done(
    service: Any, client: LeaseClient, directory: Path, assign: Assign
) -> None:
    """The one step here, and the loading before it, say that nine more take longer than 0.1 s."""
    long = assign(steps=60)
    with pytest.raises(Killed):
        checked(directory).evaluate(long, Steps(50))
    drain = Drain()
    evaluator = Evaluator(CPU, checkpoints=Checkpoints(directory, 300.0, _asking(drain)))
    service.say("claim", granted(long), NO_WORK)
    patience = Patience(wait_seconds=0.01, until_idle_seconds=0.3, grace_seconds=0.1)
    Worker("w1", client, client, evaluator, Spool(directory), drain=drain, patience=patience).run()
    assert evaluator.resumed_at == 50
    assert (len(service.bodies("release")), service.bodies("report")) == (1, [])


@pytest.mark.slow
def test_a_training_that_a_checkpoint_has_whole_is_finished_without_grace(
    service: Any, client: LeaseClient, directory: Path, assign: Assign
) -> None:
    whole = assign(steps=20)
    with pytest.raises(Killed):
        checked(directory).evaluate(whole, Steps(20))
    drain, spool = Drain(), Spool(directory)
    service.say("claim", granted(whole), NO_WORK)
    evaluator: Any = Hooked(checked(directory), at_step(20, drain.request))
    patience = Patience(wait_seconds=0.01, until_idle_seconds=0.3)
    Worker("w1", client, client, evaluator, spool, drain=drain, patience=patience).run()
    assert evaluator.resumed_at == 20
    assert (len(service.bodies("report")), service.bodies("release")) == (1, [])


def _asking(drain: Drain) -> Callable[[], float | None]:
    def left_seconds() -> float | None:
        drain.request()
        return 0.0

    return left_seconds


def test_the_setting_is_in_minutes_and_zero_is_never(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def wired(minutes: str) -> Checkpoints | None:
        monkeypatch.setenv("RANKADAPTOR_CHECKPOINT_MINUTES", minutes)
        monkeypatch.setenv("RANKADAPTOR_SPOOL_DIRECTORY", str(tmp_path))
        return _checkpoints(Settings(grace_seconds=20.0), drain)

    drain = Drain()
    assert wired("0") is None
    found = wired("2.5")
    assert found is not None
    assert (found.directory, found.every_seconds, found.left_seconds()) == (tmp_path, 150.0, None)
    drain.request()
    left = found.left_seconds()
    assert left is not None
    assert 0 < left <= 20
