"""All checks of the product that need a GPU, in one command and under eight minutes.

    python -m bench.gpu [--minutes 8] [--peak TFLOPS] [--json FILE]

In this order: ``tests/gpu`` (a trial beside the CPU's, equal back ends in bfloat16, a loop that
waits once a step, memory that runs out); the plan of memory beside what is measured, at the three
recipes of ``bench.memory --billion``; and trials per hour of Llama-shaped models of random weights,
1 and 8 billion, dense and pruned, with the share of the GPU's peak in bfloat16. What the minutes no
longer allow is left out, and said. Without a GPU it says so, and exits with 77; with 1 where a
check failed. The last line is for a machine.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from bench.gpu.throughput import Load, Speed, measure, peak_of, sizes
from bench.memory import RECIPES, Size, apart

NO_GPU = 77
"""Exit code where there is nothing to check with, as automake's tests have it."""

MEMORY_ERROR = 0.15
"""Most that a plan may be off."""

Figures = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=8.0, help="begin nothing new after these")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the GPU in bfloat16, dense")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU: torch sees none, so nothing was checked")
        return NO_GPU
    place = torch.device("cuda")
    deadline = time.monotonic() + 60 * asked.minutes
    name = torch.cuda.get_device_name(place)
    parts: dict[str, Callable[[], Figures]] = {"tests": tests}
    parts |= {f"memory, {recipe}": partial(plan, recipe) for recipe in RECIPES}
    peak = peak_of(name, asked.peak)
    parts |= {model: partial(model_part, size, place, peak) for model, size in sizes().items()}
    found = {part: run_part(run, deadline) for part, run in parts.items()}
    _show(name, found)
    if asked.json:
        asked.json.write_text(json.dumps({"device": name, **found}), encoding="utf-8")
    failed = [part for part, figures in found.items() if figures.get("failed")]
    skipped = sum("left out" in figures for figures in found.values())
    print(f"failed={len(failed)} left_out={skipped} of={len(found)}")
    return 1 if failed else 0


def run_part(run: Callable[[], Figures], deadline: float) -> Figures:
    """Run a part unless it is too late to begin; what goes wrong in it is a failure of its own."""
    if time.monotonic() > deadline:
        return {"left out": "no time"}
    began = time.monotonic()
    try:
        found = run()
    except Exception as error:  # noqa: BLE001  # the other parts shall be heard of, too
        found = {"failed": f"{type(error).__name__}: {error}"[:300]}
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def tests() -> Figures:
    """Run tests/gpu; a test that was skipped is said."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/gpu"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    said = done.stdout.splitlines()
    if done.returncode:
        return {"failed": "\n".join(said[-15:])}
    return {"found": "; ".join(line for line in said if "SKIPPED" in line or " in " in line)}


def plan(recipe: str) -> Figures:
    """Hold the plan of one recipe against what is measured."""
    options = ["--billion", "--device", "cuda", "--dtype", "bfloat16"]
    found = apart(recipe, options, {})
    figures: Figures = {"planned": found.planned, "measured": found.measured}
    figures["found"] = f"{found.error:+.1%}, without weights {found.error_beside:+.1%}"
    if abs(found.error) > MEMORY_ERROR:
        figures["failed"] = f"the plan is off by {found.error:+.1%}"
    return figures


def model_part(size: Size, place: torch.device, peak: float) -> Figures:
    """Time a model."""
    return speed(measure(size, Load(), place, torch.bfloat16), peak)


def speed(found: Speed | str, peak: float) -> Figures:
    """Say what was timed, or why it does not fit."""
    if isinstance(found, str):
        return {"left out": found}
    share = None if math.isnan(peak) else found.operations_per_second / peak
    of_peak = "peak not known (--peak)" if share is None else f"{share:.0%} of the peak"
    passes = f"{found.passes}{', recomputed' if found.passes.recomputes else ''}"
    said = (
        f"{found.trials_per_hour:,.1f} trials/h, {found.tokens_per_second:,.0f} tokens/s, "
        f"{of_peak}, {found.peak_bytes / 2**30:.1f} GiB, passes of {passes}"
    )
    return {**asdict(found), "share_of_peak": share, "found": said}


def _show(name: str, found: dict[str, Figures]) -> None:
    table = Table(title=f"{name}, torch {torch.__version__}")
    for column in ("part", "seconds", "found"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for part, figures in found.items():
        said = next(
            f"{kind.upper()}: {figures[kind]}" if kind != "found" else str(figures[kind])
            for kind in ("failed", "left out", "found")
            if kind in figures
        )
        table.add_row(part, str(figures.get("seconds", "")), said)
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
