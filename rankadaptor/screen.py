"""What commands print: results on stdout, everything else on stderr."""

import codecs
import io
import json
import re
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

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("─━╸╺−–—", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("└╰╯╭╮", "+"),
        **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "*"),  # what turns while something goes on
        **{"…": "...", "±": "+-", "·": ".", "×": "x", "→": "->", "•": "*"},
    }
)
"""What commands print beyond ASCII, and what says the same in it."""

_NEAREST = "rankadaptor.nearest"


def write_in_any_encoding() -> None:
    """Have both streams write something else for what their encoding lacks, instead of failing.

    Terminals of another encoding than UTF-8 are rare, and names are in any script.
    """
    codecs.register_error(_NEAREST, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors=_NEAREST)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_ALIKE)
    return "".join(c if c.isascii() else "?" for c in lacking), error.end


_COMMANDS = {
    "GET /v1/studies": "`rankadaptor status`",
    "GET /v1/workers": "`rankadaptor workers`",
    "GET /v1/keys": "`rankadaptor keys list`",
    "POST /v1/keys": "`rankadaptor keys issue`",
    "GET /v1/join-tokens": "`rankadaptor keys join-tokens`",
    "POST /v1/models": "`rankadaptor submit`",
}
"""What a person types for the routes that the service's hints name."""

_EVERY_ROUTE = "GET /v1/openapi.json"
_ROUTE = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE) /[^\s,;]*")
_ANOTHER_SERVICE = "check the address (--url, RANKADAPTOR_URL) and the service's version"


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
        body = {"error": kind, "detail": error.detail, "hint": typed(error.hint)}
        sys.stderr.write(json.dumps(body) + "\n")
    else:
        # Not cut into lines: paths and commands are copied from it, and looked for in logs.
        err.print(Text.assemble((f"{kind}: ", "bold red"), error.detail), soft_wrap=True)
        if hint := typed(error.hint):
            err.print(Text.assemble(("fix: ", "bold green"), hint), soft_wrap=True)
    return exit_code(error)


def typed(hint: str) -> str:
    """Return ``hint`` with commands for the service's routes: nobody types those at a shell."""
    if _EVERY_ROUTE in hint:  # there is no such route: mostly another program answers, or proxy
        return _ANOTHER_SERVICE
    return _ROUTE.sub(lambda found: _COMMANDS.get(found[0], found[0]), hint)
