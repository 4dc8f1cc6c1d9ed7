"""Trials that sleep: they stand in for fine-tuning where everything around it is the product's."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankspace import Assignment, Measurement
from rankspace.lease import NOTE, WEIGHTS, Capabilities
from tuning.training import OnStep

STEPS = 10


@dataclass(frozen=True, slots=True)
class Nap:
    """One trial.

    Attributes:
        seconds: That it takes.
        step_seconds: Of each of its steps.
        is_deaf: Whether it goes on whatever becomes of its lease.
    """

    seconds: float
    step_seconds: float
    is_deaf: bool = False


class SleepingEvaluator:
    """Sleeps as long as ``draw`` says, trial by trial."""

    resumed_at = 0

    def __init__(self, draw: Callable[[], Nap]) -> None:
        self._draw = draw

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement:
        nap, begin = self._draw(), time.monotonic()
        _sleep(nap, on_step)
        if assignment.keep_adapter and adapter_directory is not None:
            _save(adapter_directory, any(assignment.rank_vector.ranks))
        value, order = _score_of(assignment), assignment.survey
        scores = tuple(_score_of(assignment, ranks) for ranks in order.vectors) if order else ()
        steps = 0 if order and order.adapter else STEPS
        price = assignment.rank_vector.parameters(
            [layer.parameters_per_rank for layer in assignment.layers]
        )
        spent = {"train": time.monotonic() - begin}
        return Measurement(value, -value, 1.0, steps, 100, price, spent, scores=scores)


def _score_of(assignment: Assignment, ranks: Sequence[int] | None = None) -> float:
    """Tell whose result it is: no two claims of a trial have the same score."""
    told = assignment.rank_vector.ranks if ranks is None else ranks
    gain = sum((index % 4 + 1) * math.sqrt(rank) for index, rank in enumerate(told)) / 100
    return -3.0 + gain + 1e-6 * assignment.token


def _sleep(nap: Nap, on_step: OnStep) -> None:
    end, step = time.monotonic() + nap.seconds, 0
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(nap.step_seconds, left))
        step += 1
        if not nap.is_deaf:
            on_step(step, 1.0 / step)


def _save(directory: Path, has_weights: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / NOTE).write_text("slept", encoding="utf-8")
    if has_weights:
        (directory / WEIGHTS).write_bytes(b"weights")
