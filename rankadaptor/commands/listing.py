"""Listing: the empty table in which a command lists what there is."""

from collections.abc import Collection, Sequence

from rich import box
from rich.table import Table


def listing(title: str, columns: Sequence[str], folding: Collection[str]) -> Table:
    """Return a table of ``columns``; those of ``folding`` take several lines in a narrow window."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column not in folding, overflow="fold")
    return table
