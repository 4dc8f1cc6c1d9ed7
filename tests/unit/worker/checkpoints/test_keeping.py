"""When a trial is kept, in what room, and how long its checkpoint lasts."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement
from rankspace.trial import Purpose
from tests.unit.worker.checkpoints.keeping import STATE, checkpoints, keeper, told
from tests.unit.worker.starting import NO_WORK
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.report import done, failed
from worker.lease.spool import KEPT_SECONDS, SWEEP_SECONDS, Spool
from worker.trial.checkpoint_files import Lane, files
from worker.trial.checkpoints import Checkpoints
from worker.trial.evaluation import Evaluator

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")


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
