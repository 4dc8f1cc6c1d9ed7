"""``rankadaptor workers``: see them, keep one from trials, give it trials again."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from rankadaptor.commands.options import Json, Url, connect
from rankadaptor.rest.client import JSON
from rankadaptor.screen import emit, listing

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the worker.")]

app = typer.Typer(help="List workers, put one in quarantine or take it out.")


@app.callback(invoke_without_command=True)
def list_workers(context: typer.Context, url: Url = None, json_: Json = False) -> None:
    """List workers with their last sign of life, and why one gets no trials."""
    if context.invoked_subcommand is not None:
        return
    with connect(url) as client:
        found = list(client.workers())
    emit(json_, found, lambda: _table(found))


@app.command()
def quarantine(
    name: Name,
    reason: Annotated[str, typer.Argument(help="Why; the worker's log will say it.")],
    url: Url = None,
    json_: Json = False,
) -> None:
    """Give a worker no more trials; one that it holds it may finish. Needs an admin key."""
    with connect(url) as client:
        shown = client.quarantine(name, reason)
    emit(json_, shown, lambda: Text(f"worker {name} is in quarantine"))


@app.command()
def reinstate(name: Name, url: Url = None, json_: Json = False) -> None:
    """Give a worker trials again; it asks within a minute. Needs an admin key."""
    with connect(url) as client:
        shown = client.reinstate(name)
    emit(json_, shown, lambda: Text(f"worker {name} gets trials again"))


def _table(workers: list[JSON]) -> Table:
    columns = ("name", "project", "last seen", "quarantine")
    table = listing("workers", columns, ["name", "quarantine"])
    for worker in workers:
        reason = Text(worker["quarantine_reason"] or "", style="red")
        seen = str(worker["last_seen"])[:19].replace("T", " ")
        table.add_row(Text(worker["name"]), Text(worker["project"]), seen, reason)
    return table
