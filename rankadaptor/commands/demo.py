"""``rankadaptor demo``: the whole product on a small real model."""

from pathlib import Path
from typing import Annotated

import typer

from rankadaptor.commands.options import Json
from rankadaptor.screen import emit


def demo(
    output: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo-out"),
    json_: Json = False,
) -> None:
    """Train, prune, search, verify, recover and export a small model, in minutes."""
    from rankadaptor.demo.plan import DemoPlan
    from rankadaptor.demo.run import closing, run_demo

    outcome = run_demo(output, DemoPlan())
    emit(json_, outcome.as_json(), lambda: closing(outcome, output.resolve()))
