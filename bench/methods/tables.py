"""Tables: every arm, and every ordering with its interval."""

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bench.methods.arms import ORDERINGS
from bench.methods.measuring import RATIOS, Found, percent
from bench.proposers.intervals import Mean, mean_of

MIB = 2**20


def show(dense: float, found: Mapping[str, Found]) -> None:
    table = Table(title=f"Perplexity after pruning, nothing recovered; dense {math.exp(dense):.2f}")
    table.add_column("method")
    for ratio in map(percent, RATIOS):
        for column in (f"left at {ratio} %", "perplexity", "loss in nats"):
            table.add_column(column, justify="right")
    for column in ("CPU s", "peak MiB", "stated MiB"):
        table.add_column(column, justify="right")
    for name, one in found.items():
        cells = [cell for ratio in map(percent, RATIOS) for cell in _cells(one, ratio)]
        sizes = f"{one.peak / MIB:.1f}", f"{one.stated / MIB:.1f}"
        table.add_row(name, *cells, f"{one.seconds:.2f}", *sizes)
    Console(width=150).print(table)


def _cells(found: Found, ratio: str) -> tuple[str, str, str]:
    mean = mean_of(found.losses[ratio])
    share = f"{100 * found.kept[ratio]:.1f} %"
    return share, f"{math.exp(mean.value):.2f}", f"{mean.value:.3f} ± {mean.margin:.3f}"


def show_orderings(found: Mapping[str, Found]) -> None:
    table = Table("ordering", *(f"difference at {percent(ratio)} %" for ratio in RATIOS))
    for better, worse, who in ORDERINGS:
        if not {better, worse} <= set(found):
            continue
        differences = [difference(found, better, worse, percent(ratio)) for ratio in RATIOS]
        table.add_row(f"{who}: {better} - {worse}", *map(verdict, differences))
    Console(width=150).print(table)


def difference(found: Mapping[str, Found], better: str, worse: str, ratio: str) -> Mean:
    """Paired: both saw the same windows."""
    pairs = zip(found[better].losses[ratio], found[worse].losses[ratio], strict=True)
    return mean_of([one - other for one, other in pairs])


def verdict(mean: Mean) -> str:
    word = "open" if not mean.excludes_zero else "holds" if mean.value < 0 else "does not hold"
    return f"{mean.value:+.3f} ± {mean.margin:.3f} {word}"
