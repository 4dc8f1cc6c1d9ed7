"""Progress bars with the time left, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rankadaptor.screen import err


@contextmanager
def counted(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; call what is yielded with (done, total)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bars:
        task = bars.add_task(label, total=total)
        yield lambda done, total: bars.update(task, completed=done, total=total)
