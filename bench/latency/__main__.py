"""How long asking and telling take, in memory and over REST.

    python -m bench.latency [--quick] [--json FILE] [--strategies additive] [--skip-rest]

In memory: our strategies and Optuna's TPE, that one on SQLite too, each cell in a fresh process on
one thread; ``load`` takes in the whole history and answers once. What Optuna cannot load within
the cap is not measured. Over REST: see ``bench.latency.rest``. The last line reads 128 layers after
1,000 trials in memory, and the longest history over REST.
"""

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench.latency import memory, optuna_study, rest
from bench.latency.cell import Cell, Timing
from bench.latency.table import MISSING, table

LAYERS = (32, 128)
TRIALS, QUICK = (10, 1_000, 10_000), (10, 1_000)
SHOWN = Cell("additive", 128, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency")
    parser.add_argument("--quick", action="store_true", help="at most 1,000 trials in memory")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--strategies", default="additive", help="with commas between")
    parser.add_argument("--cycles", type=int, default=15, help="of learning and proposing")
    parser.add_argument("--cap-seconds", type=float, help="of loading, for Optuna [240; quick 5]")
    parser.add_argument("--skip-rest", action="store_true", help="in memory only")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes started below read it
    cap = options.cap_seconds or (5.0 if options.quick else 240.0)
    asked = cells(options.strategies.split(","), QUICK if options.quick else TRIALS)
    timings = {cell: timing(cell, options.cycles, cap) for cell in asked}
    Console(width=110).print(table(timings))
    figures = {"propose_ms": MISSING, "learn_ms": MISSING}
    if found := timings.get(SHOWN):
        figures = {"propose_ms": f"{found.propose:.2f}", "learn_ms": f"{found.learn:.2f}"}
    figures |= over_rest(options.quick, options.skip_rest)
    if options.json:
        rows = [asdict(found) for found in timings.values() if found]
        options.json.write_text(json.dumps({"memory": rows, "figures": figures}, indent=1))
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


def cells(strategies: list[str], histories: tuple[int, ...]) -> Iterator[Cell]:
    for who in (*strategies, *optuna_study.PEERS):
        for layers in LAYERS:
            for trials in histories:
                yield Cell(who, layers, trials)


def timing(cell: Cell, cycles: int, cap: float) -> Timing | None:
    """Measure ``cell`` in a process of its own, which has not loaded anything yet."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        if cell.who in optuna_study.PEERS:
            return pool.submit(optuna_study.measure, cell, cycles, cap).result()
        return pool.submit(memory.measure, cell, cycles).result()


def over_rest(quick: bool, skipped: bool) -> dict[str, str]:
    if skipped:
        return {"rest_propose_ms": MISSING, "rest_report_ms": MISSING}
    found = rest.measure(quick)
    Console(width=110).print(rest.table(found))
    return {
        "rest_propose_ms": f"{found.rest_propose_ms:.1f}",
        "rest_report_ms": f"{found.rest_report_ms:.1f}",
    }


if __name__ == "__main__":
    main()
