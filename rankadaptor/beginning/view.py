"""What ``init`` says to a person: what was found, what was chosen, what to type next."""

import shlex
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.beginning.choice import Choice
from rankadaptor.beginning.draft import Draft, told
from rankadaptor.beginning.study_text import flow
from rankadaptor.screen import listing
from rankspace.wire import encode


def draft_view(draft: Draft, output: Path) -> RenderableType:
    """Show the findings, the values that were chosen, and the next commands."""
    return Group(_found(draft), _chosen(draft), _next(output))


def as_document(draft: Draft, output: Path) -> dict[str, Any]:
    """Return all of it for a program."""
    return {
        "output": str(output),
        "study": encode(draft.study),
        "found": {
            "model": encode(draft.found.model),
            "is_container": draft.found.is_container,
            "blocks": draft.found.blocks,
            "smaller": draft.found.smaller,
            "format": draft.found.format,
            "counts": encode(draft.counts),
            "device": encode(draft.diagnosis),
        },
        "cost": {**encode(draft.cost), "trials": draft.cost.trials},
        "choices": encode(draft.choices),
    }


def _found(draft: Draft) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    worrying = draft.counts is not None and draft.counts.is_worrying
    for title, said in told(draft):
        table.add_row(title, Text(said, style="yellow" if title == "data" and worrying else ""))
    return table


def _chosen(draft: Draft) -> RenderableType:
    table = listing("chosen", ("field", "value"), folding=("value",))
    table.box = box.SIMPLE_HEAD
    for choice in draft.choices:
        if _is_news(choice):
            table.add_row(choice.field, flow(choice.value))
    return table


def _is_news(choice: Choice) -> bool:
    """Whether it says more than the arguments, which were typed a moment ago."""
    return choice.value is not None and choice.field not in ("name", "model", "recipe.data.train")


def _next(output: Path) -> RenderableType:
    file = shlex.quote(str(output))
    return Group(
        Text.assemble((str(output), "bold green"), " is written, reasons as comments. Next:"),
        Text(f"  rankadaptor submit {file} --check", overflow="fold"),
        Text("  rankadaptor serve &      # unless a service runs already"),
        Text("  rankadaptor worker &     # on every machine with a GPU"),
        Text(f"  rankadaptor submit {file}", overflow="fold"),
        Text("  rankadaptor watch ID     # the id that submit prints"),
    )
