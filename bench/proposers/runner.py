"""The runner: tasks on a few processes, records as they come."""

import multiprocessing
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from bench.proposers.lessons import rows_of_other_surfaces
from bench.proposers.plan import Cell
from bench.proposers.problems.families import problem
from bench.proposers.record import Record
from bench.proposers.roster import ROWS, arm


@dataclass(frozen=True)
class Task:
    """One arm on one problem, asked at some lengths of one study."""

    family: str
    layers: int
    problem: int
    arm: str
    lengths: tuple[int, ...]


def tasks(cells: Iterable[Cell], arms: Iterable[str], problems: Iterable[int]) -> Iterator[Task]:
    """List what has to run, all arms of a problem together.

    An arm whose pace depends on the planned length runs one study per length. The arm that rows
    teach is asked only where there are some: elsewhere it is the arm without them.
    """
    for cell in cells:
        for seed in problems:
            for name in arms:
                if name == ROWS and not _has_rows(cell, seed):
                    continue
                paced = arm(name).paced()
                for lengths in [(n,) for n in cell.lengths] if paced else [cell.lengths]:
                    yield Task(cell.family, cell.layers, seed, name, lengths)


def _has_rows(cell: Cell, seed: int) -> bool:
    space = problem(cell.family, cell.layers, seed).space
    return rows_of_other_surfaces(space) is not None


def run(task: Task, cap: float) -> list[Record]:
    """Run one task; the arm's seed is the problem's."""
    posed = problem(task.family, task.layers, task.problem)
    who = arm(task.arm)
    return [
        Record(
            task.family,
            task.layers,
            task.problem,
            task.arm,
            answer.length,
            answer.trials,
            posed.fingerprint,
            answer.vector.ranks,
            answer.infeasible,
            round(answer.seconds, 3),
            answer.gain,
            who.version,
        )
        for answer in who.answer(posed, task.problem, task.lengths, cap)
    ]


def run_all(
    waiting: Iterable[Task], processes: int, cap: float, minutes: float
) -> Iterator[tuple[Task, list[Record]]]:
    """Yield each finished task with its records; start none after ``minutes``.

    Args:
        waiting: In the order in which they start.
        processes: At once.
        cap: Seconds of CPU after which a run answers with what it has.
        minutes: Of wall clock.
    """
    deadline = time.monotonic() + 60.0 * minutes
    left = iter(waiting)
    spawn = multiprocessing.get_context("spawn")  # a fork of a process that has threads may hang
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        running: dict[Future[list[Record]], Task] = {}
        while True:
            if time.monotonic() < deadline:
                for task in islice(left, processes - len(running)):
                    running[pool.submit(run, task, cap)] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
