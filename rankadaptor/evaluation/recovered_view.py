"""What recovered models score on the metrics that a study asks for, as tables."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rankspace.evaluation.recovered import Recovered, RecoveredMetric


def recovered_view(found: Recovered) -> Iterator[RenderableType]:
    """A table for each metric, and what must be known to read them; nothing without any."""
    for metric in found.metrics:
        yield _table(metric)
        if metric.remark:
            yield Text(metric.remark, style="dim")
    for remark in found.remarks:
        yield Text(f"- {remark}")


def _table(metric: RecoveredMetric) -> Table:
    heading = Text(metric.heading)
    table = Table(box=box.SIMPLE_HEAD, title=heading, title_justify="left", pad_edge=False)
    table.add_column("")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("by seed")
    for row in metric.rows:
        table.add_row(*map(Text, row))
    return table
