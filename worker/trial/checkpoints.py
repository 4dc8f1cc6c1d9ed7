"""Checkpoints: a long trial that is given to this worker once more goes on where it stood."""

import errno
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import torch
from torch import Tensor

from rankspace.errors import InvalidInput
from rankspace.lease import Assignment
from rankspace.recipe import Inputs
from rankspace.trial import Purpose
from rankspace.wire import encode
from tuning import memory
from tuning.checkpoint import file
from tuning.checkpoint.file import Bounds, Statement
from tuning.checkpoint.state import TrainingState
from worker.trial.checkpoint_files import Lane, files
from worker.trial.versions import versions

BYTES_PER_SECOND = 50e6
"""How fast a disk is taken to be before anything was written to it."""

MARGIN = 1 << 20
"""Bytes that a checkpoint leaves free beside those of the adapter: reports come meanwhile."""

WRITING_SHARE = 1 / 20
"""Of a trial's time may go into writing, where the interval alone would let it be more."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_TROUBLE = (OSError, RuntimeError, MemoryError)
"""What may go wrong with a file, and with tensors between a device and the host."""

_LEASE = ("token", "lease_seconds", "heartbeat_seconds", "study_name", "model_path", "inputs")
"""What of an assignment does not determine the result. The model's fingerprint does; and what the
inputs were found to be, not what was asked for."""

log = structlog.get_logger(__name__)


def _never() -> float | None:
    return None


@dataclass(slots=True)
class Checkpoints:
    """Where the trials of one worker keep how far they are.

    Attributes:
        directory: The spool's.
        every_seconds: How often a trial that takes longer is kept.
        left_seconds: Once the worker is asked to leave, what is left of its grace; None before.
        clock: In seconds.
    """

    directory: Path
    every_seconds: float
    left_seconds: Callable[[], float | None] = _never
    clock: Callable[[], float] = time.monotonic
    _lane: Lane | None = field(default=None, init=False)

    def of(
        self, assignment: Assignment, statement: Statement, parameters: Sequence[Tensor], steps: int
    ) -> "TrialKeeper":
        """Return the keeper of a trial whose training is about to begin."""
        batch = assignment.recipe.batch
        shapes = tuple(tuple(parameter.shape) for parameter in parameters)
        most = batch.examples if batch.micro == "auto" else batch.micro
        bounds = Bounds(shapes, steps, most)
        return TrialKeeper(self, assignment, statement, bounds)

    def lane(self) -> Lane:
        """The worker's lane, taken when it is first needed.

        Raises:
            OSError: There is none to be had.
        """
        if self._lane is None:
            self._lane = Lane.take(self.directory)
        return self._lane


class TrialKeeper:
    """Keeps one trial's states; see ``tuning.checkpoint.state.Keeper``.

    Whatever goes wrong with a checkpoint is logged, and the trial runs as if there was none.

    Attributes:
        resumed_at: The step that the trial went on from; 0 if it began anew.
    """

    def __init__(
        self, checkpoints: Checkpoints, assignment: Assignment, statement: Statement, bounds: Bounds
    ) -> None:
        self._checkpoints = checkpoints
        self._assignment = assignment
        self._statement = json.loads(json.dumps(statement))
        self._bounds = bounds
        self._began = self._last = checkpoints.clock()
        self._cost: float | None = None
        self._is_stretched = self._is_lacking = False
        self.resumed_at = 0

    def found(self) -> TrainingState | None:
        """Return the furthest state of this very training that a checkpoint has."""
        best = max(self._usable(), key=lambda state: state.step, default=None)
        if best is None:
            return None
        self.resumed_at = best.step
        log.info("trial_resumed", step=best.step, steps=self._bounds.steps)
        return best

    def is_due(self) -> bool:
        """After each interval; not once the worker is to leave: what is due then is ``leave``."""
        if self._checkpoints.left_seconds() is not None:
            return False
        return self._checkpoints.clock() - self._last >= self._interval()

    def leave(self, state: TrainingState) -> None:
        """Keep a long trial that is about to be given back, in half of the grace at most."""
        left = self._checkpoints.left_seconds()
        cost = self._bounds.bytes / BYTES_PER_SECOND if self._cost is None else self._cost
        if left is None or cost > left / 2:
            return
        ran = self._checkpoints.clock() - self._began
        if ran >= self._checkpoints.every_seconds or self._assignment.purpose is Purpose.RECOVER:
            self.keep(state)

    def keep(self, state: TrainingState) -> None:
        """Write ``state``; what goes wrong costs the checkpoint, never the trial.

        Raises:
            torch.AcceleratorError: The GPU broke down: the trial is over.
        """
        began = self._checkpoints.clock()
        try:
            self._write(state)
        except _TROUBLE as error:
            if memory.is_broken(error):
                raise
            self._note_lack(error)
        else:
            self._is_lacking = False
            log.debug("checkpoint_kept", step=state.step)
        self._last = self._checkpoints.clock()
        self._cost = self._last - began

    def _interval(self) -> float:
        """Seconds; more than asked for where a slow disk would take too much of the trial."""
        asked, cost = self._checkpoints.every_seconds, self._cost or 0.0
        least = cost / WRITING_SHARE
        if least > asked and not self._is_stretched:
            self._is_stretched = True
            log.info("checkpoints_rarer", took_seconds=cost, asked_seconds=asked, seconds=least)
        return max(asked, least)

    def _write(self, state: TrainingState) -> None:
        lane, trial = self._checkpoints.lane(), self._trial
        _make_room(lane, trial, self._bounds.bytes + _adapter_bytes(self._bounds) + MARGIN)
        file.write(lane.file(*trial), self._statement, state, draft=lane.draft)
        lane.tidy(*trial)

    def _note_lack(self, error: BaseException) -> None:
        """Log when it begins, not every time."""
        if not self._is_lacking:
            problem, more = _problem(error), {}
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                more["fix"] = (
                    "make room there, or set RANKADAPTOR_SPOOL_DIRECTORY to a directory with room"
                )
            log.warning("checkpoint_not_kept", problem=problem, **more)
        self._is_lacking = True

    def _usable(self) -> Iterator[TrainingState]:
        for path in files(self._checkpoints.directory, *self._trial):
            try:
                theirs, state = file.read(path, self._bounds, self._statement)
            except InvalidInput as error:
                log.warning("checkpoint_refused", file=path.name, problem=error.problem)
            except _TROUBLE as error:
                if memory.is_broken(error):
                    raise
                log.warning("checkpoint_refused", file=path.name, problem=_problem(error))
            else:
                if state is not None:
                    yield state
                    continue
                differing = _differing(theirs, self._statement)
                log.warning("checkpoint_ignored", file=path.name, problem=differing)

    @property
    def _trial(self) -> tuple[str, int]:
        return self._assignment.study_id, self._assignment.trial_id


def statement_of(
    assignment: Assignment,
    inputs: Inputs,
    device: torch.device,
    dtype: torch.dtype,
    *,
    steps: int,
    back_end: str,
) -> Statement:
    """State everything that determines what a training comes to, by name.

    Args:
        assignment: The trial; a field that it gets one day is compared, too.
        inputs: As they were found.
        device: Where it runs, which with its name and threads is among the versions.
        dtype: Of the base weights.
        steps: Of the whole training, also where the assignment counts epochs.
        back_end: Of the adapters.
    """
    asked = {name: value for name, value in encode(assignment).items() if name not in _LEASE}
    found = {
        **{f"versions.{name}": value for name, value in versions(device).items()},
        **inputs.stated(),
        "device_type": device.type,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "base_dtype": str(dtype),
        "back_end": back_end,
        "training_steps": steps,
    }
    return {**asked, **found}


def _differing(theirs: Statement, ours: Statement) -> str:
    """Name what is not equal, with both values where they are short; empty where all is."""
    names = sorted(theirs.keys() | ours.keys())
    return "; ".join(
        f"{name} was {_short(theirs.get(name))}, is {_short(ours.get(name))}"
        for name in names
        if theirs.get(name) != ours.get(name)
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _adapter_bytes(bounds: Bounds) -> int:
    return bounds.bytes // 3


def _make_room(lane: Lane, trial: tuple[str, int], needed: int) -> None:
    """Remove the lane's checkpoints of other trials if it takes that, and if that is enough.

    Raises:
        OSError: There is too little room all the same.
    """
    free = shutil.disk_usage(lane.directory).free
    if free >= needed:
        return
    if free + lane.bytes_of_others(*trial) >= needed:
        lane.remove_others(*trial)
        free = shutil.disk_usage(lane.directory).free
    if free < needed:
        problem = f"{lane.directory} has {free >> 20:,} MiB left of {needed >> 20:,} needed"
        raise OSError(errno.ENOSPC, problem)


def _problem(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"
