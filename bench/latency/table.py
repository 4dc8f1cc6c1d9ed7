"""The table of latencies, and how they grow."""

import math
from collections.abc import Mapping

from rich.table import Table

from bench.latency.cell import Cell, Timing

MISSING = "not measured"


def table(timings: Mapping[Cell, Timing | None]) -> Table:
    """One row per cell, with the growth since the next smaller history of the same searcher."""
    made = Table(title="In memory, medians; growth 1 = in proportion to the trials")
    for column in ("who", "layers", "trials"):
        made.add_column(column, justify="left" if column == "who" else "right")
    for column in ("load s", "propose ms", "growth", "learn ms", "growth", "MB"):
        made.add_column(column, justify="right")
    before: Timing | None = None
    for cell, timing in timings.items():
        made.add_row(cell.who, str(cell.layers), f"{cell.trials:,}", *_figures(timing, before))
        before = timing
    return made


def growth(larger: float, smaller: float, trials: tuple[int, int]) -> float:
    """Return the power of the number of ``trials`` (larger, smaller) that a time grew with."""
    return math.log(larger / smaller) / math.log(trials[0] / trials[1])


def _figures(timing: Timing | None, before: Timing | None) -> tuple[str, ...]:
    if timing is None:
        return ("", MISSING, "", MISSING, "", "")
    return (
        f"{timing.load:.2f}",
        f"{timing.propose:.2f}",
        _growth(timing, before, "propose"),
        f"{timing.learn:.2f}",
        _growth(timing, before, "learn"),
        "" if timing.megabytes is None else f"{timing.megabytes:.0f}",
    )


def _growth(timing: Timing, before: Timing | None, name: str) -> str:
    cell = timing.cell
    if before is None or (before.cell.who, before.cell.layers) != (cell.who, cell.layers):
        return ""
    trials = (cell.trials, before.cell.trials)
    return f"{growth(getattr(timing, name), getattr(before, name), trials):.2f}"
