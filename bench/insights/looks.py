"""Looks: what a process takes that learns a history and then looks at it once."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.insights.calibration import known_calibration
from service.insights.front import known_front
from service.insights.knowledge import Knowledge
from service.settings import Settings
from service.storage.db import Database
from service.studies.repository import Studies


@dataclass(frozen=True)
class Seconds:
    """Of one look."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, look: Callable[[], object]) -> "Seconds":
        begin, spent = time.perf_counter(), time.process_time()
        look()
        return cls(time.perf_counter() - begin, time.process_time() - spent)

    def __str__(self) -> str:
        return f"{self.wall:.2f} ({self.cpu:.2f})"


@dataclass(frozen=True)
class Looks:
    """What one history takes; memory in MiB."""

    trials: int
    learn: Seconds
    front: Seconds
    calibration: Seconds
    memory: float
    beside: float


def look(home: Path, study: str, trials: int) -> Looks:
    """In a process of its own, which has not loaded anything yet."""
    database = Database(Settings(data_directory=home).url())
    with database.reading() as session:
        row, knowledge = Studies(session).get(study), Knowledge()
        learn = Seconds.of(lambda: knowledge.of(session, row).state.posterior)
        state = knowledge.of(session, row).state
        before = _most_memory()
        front = Seconds.of(lambda: known_front(session, row, state))
        calibration = Seconds.of(lambda: known_calibration(session, row, state))
    most = _most_memory()
    return Looks(trials, learn, front, calibration, most, most - before)


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
