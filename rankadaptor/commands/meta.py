"""``rankadaptor meta``: learn a prior from finished studies, look at it, and judge it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankadaptor.commands.options import Json
from rankadaptor.screen import emit, err
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    from perfmodel.meta.finished import FinishedStudy

Databases = Annotated[
    list[str] | None,
    typer.Option("--database", help="A service's database, URL or SQLite file.", metavar="URL"),
]
Files = Annotated[
    list[Path] | None, typer.Option("--studies", help="A file that meta export wrote.")
]
Surfaces = Annotated[
    list[Path] | None, typer.Option("--surfaces", help="A folder that bench.surfaces recorded.")
]

SHIPPED = "shipped"

app = typer.Typer(
    no_args_is_help=True, help="Learn from finished studies what to expect of layers."
)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Where to write the prior.")],
    database: Databases = None,
    studies: Files = None,
    surfaces: Surfaces = None,
    day: Annotated[
        str | None, typer.Option(help="For the record, YYYY-MM-DD (today, UTC).")
    ] = None,
    json_: Json = False,
) -> None:
    """Learn a prior from finished studies and write it as one JSON file."""
    from perfmodel.meta.summary import summary_of
    from perfmodel.meta.training import train as learn
    from rankadaptor.meta.origin import command_line, today, versions
    from rankadaptor.meta.tables import summary_view

    found = _gathered(database, studies, surfaces)
    prior = learn(found, made=day or today(), command=command_line(), versions=versions())
    blob = prior.to_bytes()
    out.write_bytes(blob)
    err.print(f"wrote {out}: {len(blob):,} bytes", style="dim")
    summary = summary_of(prior)
    emit(json_, summary, lambda: summary_view(summary))


@app.command()
def show(
    prior: Annotated[str, typer.Argument(help="A file, or shipped.")] = SHIPPED,
    json_: Json = False,
) -> None:
    """Show what a prior learned from, and what it expects."""
    from perfmodel.meta.prior import read_prior
    from perfmodel.meta.summary import summary_of
    from rankadaptor.meta.tables import summary_view

    summary = summary_of(read_prior(_blob(prior)))
    emit(json_, summary, lambda: summary_view(summary))


@app.command()
def evaluate(
    database: Databases = None,
    studies: Files = None,
    surfaces: Surfaces = None,
    json_: Json = False,
) -> None:
    """Leave every study out in turn, and every base model: what would a prior have said of it?"""
    from perfmodel.meta.evaluation import possible
    from perfmodel.meta.lesson import lessons_of
    from perfmodel.meta.methods import METHODS
    from perfmodel.meta.scorecard import scorecards
    from rankadaptor.meta.tables import evaluation_view

    lessons = lessons_of(_gathered(database, studies, surfaces))
    cards = [
        card
        for by in possible(lessons)
        for method in METHODS
        for card in scorecards(lessons, by, method)
    ]
    emit(json_, cards, lambda: evaluation_view(cards))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Where to write them, one line of JSON each.")],
    database: Databases = None,
    surfaces: Surfaces = None,
) -> None:
    """Write finished studies as a file that can be sent to where a prior is trained.

    It holds ranks, scores, layer names and profiles; no weights and no text.
    """
    from perfmodel.meta.finished import write_studies

    found = _gathered(database, None, surfaces)
    out.write_text(write_studies(found), encoding="utf-8")
    err.print(f"wrote {out}: {len(found)} studies", style="dim")


def _gathered(
    databases: list[str] | None, files: list[Path] | None, surfaces: list[Path] | None
) -> "tuple[FinishedStudy, ...]":
    from rankadaptor.meta.sources import gather

    return gather(databases or (), files or (), surfaces or ())


def _blob(prior: str) -> bytes:
    from perfmodel.meta.shipped import shipped_prior

    if prior == SHIPPED:
        blob = shipped_prior()
        if blob is None:
            raise InvalidInput("prior", prior, "this build has none", fix="give a file")
        return blob
    try:
        return Path(prior).read_bytes()
    except OSError as error:
        raise InvalidInput(
            "prior", prior, error.strerror or str(error), fix="give a file"
        ) from None
