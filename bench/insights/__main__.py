"""How long it takes to look at a study with many trials, and how much memory.

    python -m bench.insights [--trials 10000,30000,100000] [--strategy additive]

A study of 128 layers whose history was written through the service's own tables, every trial with
a prediction. First pages of 100 trials a second from a server, over one keep-alive connection. Then
for each length a fresh process learns the history (``learn``) and makes the front, which has a
calibration of its own, and the calibration as a route does; ``memory`` is the most it ever had in
MiB, ``beside`` how much of that came after the learning. Seconds are of the wall clock, in brackets
those of the processor, for machines that do more. The last line reads the longest history.
"""

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import select, update

from bench.insights.looks import Looks, look
from bench.latency.rest import key_of, server, submit, write_history
from service.settings import Settings
from service.storage.db import Database
from service.storage.tables import ObservationRow, TrialRow

TRIALS = "10000,30000,100000"
PAGES, LISTED = 150, 100
OFF = 0.0005
"""How far predictions are off, per unit of a sequence of seven."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.insights")
    parser.add_argument("--trials", default=TRIALS, help=f"with commas between [{TRIALS}]")
    parser.add_argument("--strategy", default="additive")
    options = parser.parse_args()
    table = Table("trials", "learn", "front", "calibration", "memory", "beside")
    pages = pages_per_second()
    for trials in map(int, options.trials.split(",")):
        found = measure(trials, options.strategy)
        seconds = (str(one) for one in (found.learn, found.front, found.calibration))
        sizes = f"{found.memory:.0f}", f"{found.beside:.0f}"
        table.add_row(f"{trials:,}", *seconds, *sizes)
    Console(width=110).print(table)
    print(
        f"front_s={found.front.wall:.2f} calibration_s={found.calibration.wall:.2f} "
        f"memory_mib={found.memory:.0f} beside_mib={found.beside:.0f} pages_per_second={pages:.0f}"
    )


def measure(trials: int, strategy: str) -> Looks:
    """Look at a history of ``trials``."""
    with tempfile.TemporaryDirectory(prefix="rankadaptor-insights-") as folder:
        home = Path(folder)
        with server(home) as url:
            study = submit(url, key_of(home, "admin"), trials, strategy)
        write_history(home, study, trials)
        _predict(home)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(look, home, study, trials).result()


def _predict(home: Path) -> None:
    """Give every trial the prediction of a model that is nearly right."""
    database = Database(Settings(data_directory=home).url())
    score = select(ObservationRow.score).where(ObservationRow.trial_id == TrialRow.id)
    guess = score.scalar_subquery() + OFF * (TrialRow.id % 7 - 3)
    with database.writing() as session:
        session.execute(update(TrialRow).values(mean=guess, std=2 * OFF))
    database.close()


def pages_per_second() -> float:
    """Pages of 100 trials that one caller gets in a second, whatever its key's share."""
    with tempfile.TemporaryDirectory(prefix="rankadaptor-insights-") as folder:
        home = Path(folder)
        with server(home) as url:
            study = submit(url, key_of(home, "admin"), 2 * LISTED, "random")
        write_history(home, study, LISTED)
        with server(home) as url, httpx.Client(base_url=url, timeout=60) as client:
            path, key = f"/v1/studies/{study}/trials?limit={LISTED}", key_of(home, "admin")
            begin = time.perf_counter()
            for _ in range(PAGES):  # no more than a key may ask for at once
                client.get(path, headers=key).raise_for_status()
            return PAGES / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
