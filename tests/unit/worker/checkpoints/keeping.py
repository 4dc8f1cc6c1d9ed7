"""A keeper of a made-up training, and what its directory has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rankspace import Assignment
from tuning.checkpoint.state import TrainingState
from worker.trial.checkpoints import Checkpoints, TrialKeeper

STATE = TrainingState((torch.ones(2),), (None,), (1.0,), 5, 1)


def keeper(
    directory: Path, assignment: Assignment, said: dict[str, Any] | None = None, **more: Any
) -> TrialKeeper:
    """Of a made-up training of one parameter, whose state is ``STATE``."""
    checkpoints = Checkpoints(directory, **{"every_seconds": 300.0, **more})
    return checkpoints.of(assignment, said or {}, STATE.parameters, 20)


def checkpoints(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.checkpoint"))


def told(logs: Sequence[Any], event: str) -> list[Any]:
    return [log for log in logs if log["event"] == event]
