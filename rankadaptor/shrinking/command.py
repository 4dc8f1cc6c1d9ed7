"""``rankadaptor shrink``: dense to verified small, in one command."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from rankadaptor.commands.options import Json
from rankadaptor.screen import emit, err
from rankadaptor.study_file import absolute
from rankadaptor.verdict_view import verdict_view
from rankspace.errors import InvalidInput
from rankspace.wire import encode

if TYPE_CHECKING:
    from rankadaptor.shrinking.run import Shrunk

ROWS = (".json", ".jsonl", ".csv", ".parquet", ".gz")
"""Ends of names of files that are no plain text."""


def shrink(
    model: Annotated[Path, typer.Argument(help="The dense model, a Hugging Face directory.")],
    keep: Annotated[float, typer.Option(help="Share of all its parameters to keep, like 0.6.")],
    data: Annotated[Path, typer.Option(help="What the pruned model is trained on: text or rows.")],
    to: Annotated[Path, typer.Option("--to", help="Directory for all of it; go on with it here.")],
    text: Annotated[
        Path | None, typer.Option(help="Plain text that pruning looks at, if DATA is rows.")
    ] = None,
    method: Annotated[str, typer.Option(help="One of `compress --help`.")] = "taylor",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda or cuda:1 (cpu to prune, a GPU to train where there is one)."),
    ] = None,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Stop before the search: study.yaml can be changed then."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the commands it stands for; run nothing.")
    ] = False,
    json_: Json = False,
) -> None:
    """Prune a dense model, search ranks, verify, recover and export: one command, resumable.

    The same command goes on where it was stopped.
    """
    from rankadaptor.shrinking import run
    from rankadaptor.shrinking.plan import ShrinkPlan

    calibration = text or data
    if text is None and data.suffix.lower() in ROWS:
        problem = "holds rows, and pruning looks at plain text"
        raise InvalidInput("--data", str(data), problem, fix="give --text a file with some text")
    for field, file in (("--data", data), ("--text", calibration)):
        if not file.is_file():
            raise InvalidInput(field, str(file), "is no file", fix="give one that is there")
    paths = [str(absolute(path)) for path in (model, data, calibration)]
    plan, home = ShrinkPlan(paths[0], keep, paths[1], paths[2], method), absolute(to)
    ratio = run.ratio_of(plan)
    if dry_run:
        lines = run.commands(plan, ratio, home, device)
        typer.echo(json.dumps(lines, indent=2) if json_ else "\n".join(lines))
        return
    run.prepare(plan, ratio, home, device)
    if prepare:
        err.print(f"\nprepared; change {home / 'study.yaml'} if you like, then leave --prepare out")
        return
    outcome = run.search(plan, home, device, workers)
    emit(json_, _document(outcome), lambda: _closing(outcome))


def _document(outcome: "Shrunk") -> dict[str, Any]:
    from rankadaptor.shrinking.run import places

    return {
        "dense_parameters": outcome.dense,
        "parameters": outcome.pruned,
        "study": outcome.study,
        "verdict": encode(outcome.verdict),
        "places": {said: str(path) for said, path in places(outcome)},
    }


def _closing(outcome: "Shrunk") -> RenderableType:
    from rankadaptor.shrinking.run import places, recovered

    table = Table(box=None, show_header=False, pad_edge=False)
    for said, path in places(outcome):
        table.add_row(said, str(path))
    share = outcome.pruned / outcome.dense
    sizes = f"{outcome.pruned:,} of {outcome.dense:,} parameters are left ({share:.1%})"
    said = recovered(outcome.verdict)
    return Group(verdict_view(outcome.verdict, outcome.space), "", f"{sizes}; {said}", "", table)
