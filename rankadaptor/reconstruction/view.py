"""What was done with each matrix, on the screen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from pruning.recovery.ridge import Fit


def fit_table(fits: Mapping[str, "Fit"]) -> Table:
    """Show what was done with each matrix."""
    title = "squared error of each matrix on held-out windows, over the dense output's square"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("matrix")
    for column in ("before", "after", "penalty"):
        table.add_column(column, justify="right")
    for name, fit in fits.items():
        chosen = "unchanged" if fit.penalty is None else f"{fit.penalty:g}"
        table.add_row(name, f"{fit.before:.4f}", f"{fit.after:.4f}", chosen)
    return table
