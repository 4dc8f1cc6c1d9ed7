"""How long it takes to look at a study with many trials, and how much memory.

    python -m bench.insights [--trials 10000,30000,100000] [--strategy additive]

A study of 128 layers whose history was written through the service's own tables, every trial with
a prediction. For each length a fresh process learns the history (``learn``), then makes the front
and the calibration as a route does; ``memory`` is the most it ever had, ``beside`` how much of that
came after the learning. Then a server, over one keep-alive connection: pages of 100 trials a
second. Seconds are of the wall clock; ``cpu`` are of the processor, for machines that do more.
The last line reads the longest history.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import select, update

from bench.latency.rest import key_of, server, submit, write_history
from service.insights.calibration import study_calibration
from service.insights.front import known_front
from service.insights.knowledge import knowledge
from service.settings import Settings
from service.storage.db import Database
from service.storage.tables import ObservationRow, TrialRow

TRIALS = "10000,30000,100000"
PAGE_SECONDS, LISTED = 3.0, 100
OFF = 0.0005
"""How far predictions are off, per unit of a sequence of seven."""


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.insights")
    parser.add_argument("--trials", default=TRIALS, help=f"with commas between [{TRIALS}]")
    parser.add_argument("--strategy", default="additive")
    options = parser.parse_args()
    table = Table("trials", "learn", "front", "calibration", "memory", "beside", "pages/s")
    for trials in map(int, options.trials.split(",")):
        found, pages = measure(trials, options.strategy)
        seconds = (str(one) for one in (found.learn, found.front, found.calibration))
        sizes = f"{found.memory:.0f}", f"{found.beside:.0f}", f"{pages:.0f}"
        table.add_row(f"{trials:,}", *seconds, *sizes)
    Console(width=110).print(table)
    print(
        f"front_s={found.front.wall:.2f} calibration_s={found.calibration.wall:.2f} "
        f"memory_mib={found.memory:.0f} beside_mib={found.beside:.0f} pages_per_second={pages:.0f}"
    )


def measure(trials: int, strategy: str) -> tuple[Looks, float]:
    """Look at a history of ``trials``; the second value is pages per second."""
    with tempfile.TemporaryDirectory(prefix="rankadaptor-insights-") as folder:
        home = Path(folder)
        with server(home) as url:
            study = submit(url, key_of(home, "admin"), max(trials, 1), strategy)
            pages = 0.0
            write_history(home, study, LISTED)
            pages = _pages(url, key_of(home, "admin"), study)
        write_history(home, study, trials - LISTED)
        _predict(home)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(look, home, study, trials).result(), pages


def look(home: Path, study: str, trials: int) -> Looks:
    """In a process of its own, which has not loaded anything yet."""
    database = Database(Settings(data_directory=home).url())
    with database.reading() as session:
        learn = Seconds.of(lambda: knowledge(session, study).posterior)
        before = _most_memory()
        front = Seconds.of(lambda: known_front(session, study))
        calibration = Seconds.of(lambda: study_calibration(session, study))
    most = _most_memory()
    return Looks(trials, learn, front, calibration, most, most - before)


def _predict(home: Path) -> None:
    """Give every trial the prediction of a model that is nearly right."""
    database = Database(Settings(data_directory=home).url())
    score = select(ObservationRow.score).where(ObservationRow.trial_id == TrialRow.id)
    guess = score.scalar_subquery() + OFF * (TrialRow.id % 7 - 3)
    with database.writing() as session:
        session.execute(update(TrialRow).values(mean=guess, std=2 * OFF))
    database.close()


def _pages(url: str, key: dict[str, str], study: str) -> float:
    with httpx.Client(base_url=url, headers=key, timeout=60) as client:
        path, count, begin = f"/v1/studies/{study}/trials?limit={LISTED}", 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < PAGE_SECONDS:
            client.get(path).raise_for_status()
            count += 1
            time.sleep(0.01)  # within a key's share of requests
        return count / spent


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
