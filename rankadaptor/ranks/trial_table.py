"""A study's trials as a table for a person, and as CSV for a spreadsheet."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from rankadaptor.screen import listing, plain
from rankspace import SearchSpace

FIELDS = (
    *("id", "purpose", "state", "offer", "score", "mean", "std", "parameters", "seed", "split"),
    *("worker", "seconds", "reason", "error", "created_at", "finished_at"),
)
"""Of a trial, before its ranks."""

FORMULAS = ("=", "+", "-", "@")
"""What a spreadsheet computes if a text begins with it."""


def trial_table(trials: Iterable[dict[str, Any]]) -> Table:
    columns = ("id", "purpose", "state", "score", "expected", "parameters", "seed", "remark")
    table = listing("trials", columns, ["remark"])
    for trial in trials:
        state = "offer" if trial["offer"] else trial["state"]
        table.add_row(
            *(str(trial["id"]), trial["purpose"], state),
            *(_number(trial["score"]), _number(trial["mean"])),
            *(f"{trial['parameters']:,}", str(trial["seed"])),
            Text(trial["error"] or trial["reason"]),
        )
    return table


def write_csv(trials: Iterable[dict[str, Any]], space: SearchSpace, file: TextIO) -> None:
    """Write a line per trial as it comes, with one column per layer."""
    writer = csv.writer(file, lineterminator="\n")
    names = [layer.name for layer in space.layers]
    writer.writerow([*FIELDS, *map(_text, names)])
    for trial in trials:
        writer.writerow([*_cells(trial), *trial["rank_vector"]])


def _cells(trial: dict[str, Any]) -> Sequence[Any]:
    values = (trial[field] for field in FIELDS)
    return [_text(value) if isinstance(value, str) else value for value in values]


def _text(text: str) -> str:
    """What others wrote, on one line, and no formula."""
    line = " ".join(plain(text).split())
    return f"'{line}" if line.startswith(FORMULAS) else line


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
