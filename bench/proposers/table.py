"""The table: what the ledger says, for people."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.proposers.intervals import Mean
from bench.proposers.ledger import CHAMPION, Line, Place

COLUMNS = ("n", "regret", "wins", "difference", "infeasible", "ms/trial", "gain")


def show(places: Mapping[Place, list[Line]], console: Console) -> None:
    """Print one table per family, dimensions and length."""
    for (family, layers, length), lines in places.items():
        size = f"{layers} layers" if layers else "5 to 56 layers"
        table = Table(title=f"{family}, {size}, {length} trials", title_justify="left")
        table.add_column("arm")
        for column in COLUMNS:
            table.add_column(column, justify="right")
        for line in lines:
            table.add_row(line.arm, *_cells(line), style="bold" if line.arm == CHAMPION else None)
        console.print(table)


def document(places: Mapping[Place, list[Line]]) -> dict[str, Any]:
    """Every line for a program; what is not a number is None."""
    rows = [
        {"family": family, "layers": layers, "trials": length} | _plain(asdict(line))
        for (family, layers, length), lines in places.items()
        for line in lines
    ]
    return {"rows": rows}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in row.items()
    }


def legend() -> str:
    return (
        "regret: mean and 95 % interval over n problems; 100 = uniform, 0 = optimum. "
        f"wins, difference: {CHAMPION} against the arm, paired (negative: {CHAMPION} is better; "
        "* the 95 % interval excludes zero). infeasible: per 100 proposals. gain: predicted gain "
        "over uniform in noise deviations. n ends with a c for each run that the cap cut short."
    )


def _cells(line: Line) -> tuple[str, ...]:
    itself = line.arm == CHAMPION or not line.shared or not line.regret.known
    return (
        f"{line.regret.count}{'c' * line.capped}",
        _interval(line.regret) if line.regret.known else "-",
        "" if itself else f"{line.wins:g}/{line.shared}",
        "" if itself else _interval(line.difference) + "*" * line.difference.excludes_zero,
        f"{100 * line.infeasible / line.proposals:.1f}",
        f"{line.milliseconds:.0f}",
        _interval(line.gain) if line.gain.count else "",
    )


def _interval(mean: Mean) -> str:
    return f"{mean.value:.1f} ± {mean.margin:.1f}"
