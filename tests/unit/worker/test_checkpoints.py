"""A long trial that was cut off goes on where it stood; anything else begins anew."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement, RankVector
from rankspace.lease import CONFIG, WEIGHTS, SurveyOrder
from rankspace.recipe import Batch, Optimizer
from rankspace.trial import Purpose, Split
from tests.unit.worker.starting import ENDLESS, NO_WORK, Hooked, at_step, granted
from tuning.checkpoint.state import TrainingState
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.report import done, failed
from worker.lease.spool import KEPT_SECONDS, SWEEP_SECONDS, Spool
from worker.run import _checkpoints
from worker.settings import Settings
from worker.trial.checkpoint_files import Lane, files
from worker.trial.checkpoints import Checkpoints, TrialKeeper, statement_of
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


STATE = TrainingState((torch.ones(2),), (None,), (1.0,), 5, 1)


def keeper(
    directory: Path, assignment: Assignment, said: dict[str, Any] | None = None, **more: Any
) -> TrialKeeper:
    """Of a made-up training of one parameter, whose state is ``STATE``."""
    checkpoints = Checkpoints(directory, **{"every_seconds": 300.0, **more})
    return checkpoints.of(assignment, said or {}, STATE.parameters, 20)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def recovery(assign: Assign) -> Assignment:
    """20 steps of four passes each, in a warm-up for two."""
    recipe = replace(
        assign().recipe,
        batch=Batch(examples=8, micro=2),
        optimizer=Optimizer(learning_rate=1e-2, warmup_steps=5, weight_decay=0.1),
    )
    long = assign(purpose=Purpose.RECOVER, recipe=recipe, steps=20, split=Split.FINAL)
    return replace(long, keep_adapter=True)


def checked(directory: Path, every_seconds: float = 0.0) -> Evaluator:
    """A worker that has just started, and keeps every step."""
    keeping = Checkpoints(directory, every_seconds, clock=lambda: 0.0)  # writing takes no time
    return Evaluator(CPU, checkpoints=keeping)


def cut_off(directory: Path, assignment: Assignment, every_seconds: float = 0.0) -> None:
    with pytest.raises(Killed):
        checked(directory, every_seconds).evaluate(assignment, Steps(CUT))


def checkpoints(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.checkpoint"))


def told(logs: Sequence[Any], event: str) -> list[Any]:
    return [log for log in logs if log["event"] == event]


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
        "steps": 20,
    }
    assert steps.said == list(range(1, 21))


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


@pytest.mark.parametrize("harm", ["cut", "flipped", "foreign"])
def test_a_damaged_checkpoint_is_refused_and_the_trial_begins_anew(
    directory: Path, recovery: Assignment, harm: str
) -> None:
    cut_off(directory, recovery)
    (path,) = directory.glob("*.checkpoint")
    content = path.read_bytes()
    if harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        path.chmod(0o666)
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


def test_it_is_kept_once_an_interval(directory: Path, recovery: Assignment) -> None:
    now = iter([0.0, 299.0, 300.0, 300.5, 301.0, 600.9, 601.0])
    one = keeper(directory, recovery, clock=lambda: next(now))
    assert [one.is_due(), one.is_due()] == [False, True]
    one.keep(STATE)  # from 300.5 to 301.0
    assert [one.is_due(), one.is_due()] == [False, True]


@pytest.mark.parametrize(
    ("purpose", "ran", "left", "is_kept"),
    [
        (Purpose.RECOVER, 10.0, 15.0, True),
        (Purpose.RECOVER, 10.0, 0.0, False),  # no grace to write it in
        (Purpose.SEARCH, 10.0, 15.0, False),
        (Purpose.SEARCH, 301.0, 15.0, True),
        (Purpose.RECOVER, 10.0, None, False),  # nobody leaves
    ],
)
def test_asked_to_leave_it_keeps_a_long_trial_if_there_is_time(
    directory: Path,
    recovery: Assignment,
    purpose: Purpose,
    ran: float,
    left: float | None,
    is_kept: bool,
) -> None:
    now = iter([0.0])
    asked = replace(recovery, purpose=purpose)
    one = keeper(directory, asked, clock=lambda: next(now, ran), left_seconds=lambda: left)
    one.leave(STATE)
    assert bool(checkpoints(directory)) is is_kept


def test_while_the_worker_leaves_no_interval_is_kept(directory: Path, recovery: Assignment) -> None:
    """The trial is nearly done, or is given back at once."""
    now = iter([0.0])
    one = keeper(directory, recovery, clock=lambda: next(now, 999.0), left_seconds=lambda: 15.0)
    assert not one.is_due()


@pytest.mark.parametrize(("left", "is_kept"), [(39.9, False), (40.0, True)])
def test_leaving_half_of_the_grace_is_there_to_write(
    directory: Path, recovery: Assignment, left: float, is_kept: bool
) -> None:
    now = iter([0.0, 10.0, 30.0])
    one = keeper(directory, recovery, clock=lambda: next(now, 31.0), left_seconds=lambda: left)
    one.keep(STATE)  # twenty seconds
    (path,) = directory.glob("*.checkpoint")
    path.unlink()
    one.leave(STATE)
    assert path.exists() is is_kept


def test_writing_takes_no_more_than_a_twentieth_and_it_is_said_once(
    directory: Path, recovery: Assignment
) -> None:
    times = [0.0, 300.0, 300.0, 320.0, 719.9, 720.0]  # it takes 20 seconds
    now = iter(times)
    one = keeper(directory, recovery, clock=lambda: next(now))
    assert one.is_due()
    one.keep(STATE)
    with capture_logs() as logs:
        assert [one.is_due(), one.is_due()] == [False, True]
    (rarer,) = told(logs, "checkpoints_rarer")
    assert (rarer["took_seconds"], rarer["seconds"]) == (20.0, 400.0)


NOWHERE = replace(STATE, parameters=(torch.ones(2, device="meta"),))
"""A tensor that cannot be brought to the host: torch raises a RuntimeError."""


def test_a_state_that_cannot_be_brought_to_the_host_costs_the_checkpoint_only(
    directory: Path, recovery: Assignment
) -> None:
    with capture_logs() as logs:
        keeper(directory, recovery).keep(NOWHERE)
    (lack,) = told(logs, "checkpoint_not_kept")
    assert "NotImplementedError" in lack["problem"]
    assert "fix" not in lack  # more room would not help


BROKEN = torch.AcceleratorError("CUDA error: unspecified launch failure")
TROUBLE = [MemoryError(), RuntimeError("no"), OSError(5, "Input/output error")]


@pytest.mark.parametrize("error", TROUBLE, ids=repr)
@pytest.mark.parametrize("act", ["write", "read"])
def test_trouble_with_a_checkpoint_is_none_of_the_trial(
    directory: Path,
    recovery: Assignment,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    error: Exception,
) -> None:
    one = keeper(directory, recovery)
    one.keep(STATE)
    monkeypatch.setattr(f"tuning.checkpoint.file.{act}", _raising(error))
    with capture_logs() as logs:
        one.keep(STATE)
        found = one.found()
    assert (found is None) is (act == "read")
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        "checkpoint_not_kept" if act == "write" else "checkpoint_refused"
    ]


@pytest.mark.parametrize("act", ["write", "read"])
def test_a_gpu_that_broke_down_ends_the_trial(
    directory: Path, recovery: Assignment, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    one = keeper(directory, recovery)
    one.keep(STATE)
    monkeypatch.setattr(f"tuning.checkpoint.file.{act}", _raising(BROKEN))
    with pytest.raises(torch.AcceleratorError):
        one.keep(STATE) if act == "write" else one.found()


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_of_two_checkpoints_the_furthest_is_gone_on_from(
    directory: Path, recovery: Assignment
) -> None:
    """Each of a lane of its own: the older file is further."""
    further = replace(STATE, losses=(1.0, 1.0, 1.0))
    keeper(directory, recovery).keep(further)
    (first,) = directory.glob("*.checkpoint")
    content = first.read_bytes()
    keeper(directory, recovery).keep(STATE)  # which removes the first
    first.write_bytes(content)
    first.chmod(0o600)
    os.utime(first, (1, 1))
    assert len(checkpoints(directory)) == 2
    one = keeper(directory, recovery)
    found = one.found()
    assert found is not None
    assert (found.step, one.resumed_at) == (3, 3)


def test_a_directory_that_cannot_be_written_costs_the_checkpoint_only(
    tmp_path: Path, recovery: Assignment
) -> None:
    with capture_logs() as logs:
        found = checked(tmp_path / "gone").evaluate(recovery, Steps())
    assert found.steps == 20
    assert len(told(logs, "checkpoint_not_kept")) == 1


NEEDED = (12 * 2 + 8 * (20 + 1) + 16 * 2**20 + 8) * 4 // 3 + 2**20
"""Bytes for ``STATE``: two numbers and two moments each, 20 losses, a count, a header; the adapter,
and a margin."""


@pytest.fixture
def disk(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A disk on which, with the checkpoints that are there now, so many bytes are free."""

    def begin(free: int) -> None:
        def usage(_: Path) -> Any:
            return now._replace(free=free + before - _taken(directory))

        before, now = _taken(directory), actual(directory)
        monkeypatch.setattr("shutil.disk_usage", usage)

    actual = shutil.disk_usage
    return begin


def _taken(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.checkpoint"))


@pytest.mark.parametrize(("lacking", "is_kept"), [(0, True), (1, False)])
def test_room_is_needed_for_a_second_file_and_the_adapter(
    directory: Path, assign: Assign, disk: Callable[[int], None], lacking: int, is_kept: bool
) -> None:
    disk(NEEDED - lacking)
    with capture_logs() as logs:
        keeper(directory, assign()).keep(STATE)
    assert bool(checkpoints(directory)) is is_kept
    assert bool(told(logs, "checkpoint_not_kept")) is not is_kept


def test_a_full_disk_costs_no_checkpoint_that_is_there(
    directory: Path, assign: Assign, disk: Callable[[int], None]
) -> None:
    """Least of all the trial's own, which lies in the lane of the worker before."""
    keeper(directory, assign(trial_id=2)).keep(STATE)
    shared = Checkpoints(directory, 0.0)
    shared.of(assign(trial_id=1), {}, STATE.parameters, 20).keep(STATE)
    disk(1 << 20)
    with capture_logs() as logs:
        shared.of(assign(trial_id=2), {}, STATE.parameters, 20).keep(STATE)
    (lack,) = told(logs, "checkpoint_not_kept")
    assert "1 MiB left" in lack["problem"]
    assert "make room" in lack["fix"]
    assert checkpoints(directory) == ["st_1-1.lane-1.checkpoint", "st_1-2.lane-0.checkpoint"]


def test_a_nearly_full_disk_costs_the_lanes_older_ones_where_that_is_enough(
    directory: Path, assign: Assign, disk: Callable[[int], None]
) -> None:
    shared = Checkpoints(directory, 0.0)
    shared.of(assign(trial_id=1), {}, STATE.parameters, 20).keep(STATE)
    disk(NEEDED - _taken(directory))
    shared.of(assign(trial_id=2), {}, STATE.parameters, 20).keep(STATE)
    assert checkpoints(directory) == ["st_1-2.lane-0.checkpoint"]


def test_a_lane_has_its_trials_checkpoint_and_one_that_was_left_undone(
    directory: Path, assign: Assign
) -> None:
    shared = Checkpoints(directory, 0.0)
    for trial in (1, 2, 3, 3):
        shared.of(assign(trial_id=trial), {}, STATE.parameters, 20).keep(STATE)
        (path,) = files(directory, "st_1", trial)
        os.utime(path, (trial, trial))
    assert checkpoints(directory) == ["st_1-2.lane-0.checkpoint", "st_1-3.lane-0.checkpoint"]


def test_workers_that_share_a_directory_have_a_lane_each(directory: Path) -> None:
    first, second = Lane.take(directory), Lane.take(directory)
    assert (first.name, second.name) == ("lane-0", "lane-1")


def test_a_trial_that_goes_on_in_another_lane_is_kept_there_only(
    directory: Path, assign: Assign
) -> None:
    for _ in range(2):  # the first has its lane still
        keeper(directory, assign()).keep(STATE)
    assert checkpoints(directory) == ["st_1-1.lane-1.checkpoint"]


def test_an_accepted_report_ends_its_trials_checkpoints_and_no_other(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool, tmp_path: Path
) -> None:
    """Of a report that came too late the trial is by now another worker's, and so its file."""
    for trial in (1, 2, 3, 11):
        keeper(tmp_path / "spool", assign(trial_id=trial)).keep(STATE)
    taken, twice = ((200, {"status": status}) for status in ("accepted", "duplicate"))
    lost = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
    service.say("report", taken, twice, lost)
    measured = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)
    spool.put(done(assign(), "w1", measured, 1.0, ()))
    spool.put(failed(assign(trial_id=3), "w1", "diverged", 2.0))
    spool.put(failed(assign(trial_id=2), "w1", "diverged", 3.0))
    assert spool.deliver(client) == 0
    left = [name.split(".")[0] for name in checkpoints(tmp_path / "spool")]
    assert left == ["st_1-11", "st_1-2"]


def test_what_is_older_than_a_day_is_swept(directory: Path, assign: Assign, tmp_path: Path) -> None:
    keeper(directory, assign()).keep(STATE)
    (directory / "lane-3.draft").write_bytes(b"half")
    Spool(directory).sweep()
    assert len(checkpoints(directory)) == 1
    Spool(directory, clock=lambda: time.time() + KEPT_SECONDS + 9).sweep()
    assert checkpoints(directory) == []
    assert list(directory.glob("*.draft")) == []


def test_a_worker_that_stays_sweeps_once_an_hour(directory: Path, assign: Assign) -> None:
    now = [time.time()]
    spool = Spool(directory, clock=lambda: now[0])
    keeper(directory, assign()).keep(STATE)
    (path,) = directory.glob("*.checkpoint")
    os.utime(path, (now[0] - 2 * KEPT_SECONDS,) * 2)
    now[0] += SWEEP_SECONDS - 1
    spool.sweep_in_time()
    assert path.exists()
    now[0] += 1
    spool.sweep_in_time()
    assert not path.exists()


def test_a_worker_without_work_sweeps(
    service: Any, client: LeaseClient, directory: Path, assign: Assign
) -> None:
    keeper(directory, assign()).keep(STATE)
    later = iter([time.time()])
    spool = Spool(directory, lambda: next(later, time.time() + 2 * KEPT_SECONDS))
    service.say("claim", NO_WORK)
    patience = Patience(wait_seconds=0.01, until_idle_seconds=0.1)
    Worker("w1", client, client, Evaluator(CPU), spool, drain=Drain(), patience=patience).run()
    assert checkpoints(directory) == []


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
    assert (report["token"], report["measurement"]["steps"]) == (2, 20)
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
