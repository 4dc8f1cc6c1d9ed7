"""What commands print: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rankadaptor.exit_codes import exit_code
from rankspace.errors import RankspaceError
from rankspace.wire import encode


def plain(text: str) -> str:
    """Replace what steers a terminal, or is not seen in one."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


class Screen(Console):
    """Errors, names and reasons are what others wrote: none of it may steer the terminal.

    Nor is any of it markup, in which ``[link=…]`` writes its address to the terminal as it is:
    what is to be bold is a ``Text``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


out = Screen()
err = Screen(stderr=True)


def listing(title: str, columns: Sequence[str], folding: Collection[str]) -> Table:
    """Return an empty table; ``folding`` columns take several lines in a narrow window."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column not in folding, overflow="fold")
    return table


def emit(as_json: bool, data: Any, render: Callable[[], RenderableType]) -> None:
    """Print ``data`` as JSON for a program, or what ``render`` makes of it for a person."""
    if as_json:
        sys.stdout.write(json.dumps(encode(data), indent=2) + "\n")
    else:
        out.print(render())


def complain(error: RankspaceError, *, as_json: bool) -> int:
    """Print what is wrong and how to mend it; return the exit code."""
    kind = type(error).__name__
    if as_json:
        body = {"error": kind, "detail": error.detail, "hint": error.hint}
        sys.stderr.write(json.dumps(body) + "\n")
    else:
        err.print(Text.assemble((f"{kind}: ", "bold red"), error.detail))
        if error.hint:
            err.print(Text.assemble(("fix: ", "bold green"), error.hint))
    return exit_code(error)
