"""What threads that wait for each other cost on a CPU that does other work, too.

    python -m bench.trials.spinning [--busy N] [--turns N]

Each turn runs the products of a small model's block in a process of its own, beside ``--busy``
processes that only count: with one thread, and with one a core that spins while it waits (torch's
default) or sleeps (``OMP_WAIT_POLICY=PASSIVE``, what ``rankadaptor`` sets). Medians of the seconds
that went by. The last line is for a machine: how many times the sleeping threads' the others take.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

ROWS, WIDTH, CHANNELS, PRODUCTS = 512, 64, 172, 100
WAYS = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE"},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
}
CHILD = "--child"


def main() -> None:
    if CHILD in sys.argv:
        _products()
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--busy", type=int, default=4, help="processes beside it")
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with _busy(asked.busy):
        for _ in range(asked.turns):
            for way, seconds in found.items():
                seconds.append(_seconds(WAYS[way]))
    _show({way: median(seconds) for way, seconds in found.items()}, asked.busy)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    beside = [multiprocessing.Process(target=_count, daemon=True) for _ in range(count)]
    for process in beside:
        process.start()
    try:
        yield
    finally:
        for process in beside:
            process.kill()
            process.join()


def _count() -> None:
    while True:
        sum(range(100_000))


def _seconds(way: dict[str, str]) -> float:
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "GOMP_"))}
    command = [sys.executable, "-m", "bench.trials.spinning", CHILD]
    done = subprocess.run(command, env={**bare, **way}, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _products() -> None:
    """Print the seconds that the products of one block took, after some that do not count."""
    inputs, weights = torch.randn(ROWS, WIDTH), torch.randn(CHANNELS, WIDTH)
    began = 0.0
    for product in range(2 * PRODUCTS):
        if product == PRODUCTS:
            began = time.perf_counter()
        torch.nn.functional.silu(inputs @ weights.T) @ weights
    sys.stdout.write(f"{time.perf_counter() - began}\n")


def _show(medians: dict[str, float], busy: int) -> None:
    table = Table(title=f"{PRODUCTS} pairs of products beside {busy} busy processes")
    table.add_column("threads")
    table.add_column("seconds", justify="right")
    for way, seconds in medians.items():
        table.add_row(way, f"{seconds:.2f}")
    Console().print(table)
    least = medians["sleeping"]
    sys.stdout.write(
        f"spinning={medians['spinning'] / least:.1f} one={medians['one thread'] / least:.2f}\n"
    )


if __name__ == "__main__":
    main()
