"""``rankadaptor submit``: check a study file, register its model, start the search."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from rankadaptor.commands.options import Json, Url, connect
from rankadaptor.screen import emit
from rankadaptor.study_file import read_study
from rankspace import PrunedModel, SearchSpace, Study
from rankspace.granularity import search_space
from rankspace.wire import json_schema

StudyFile = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The study, as YAML.", show_default=False)
]


def submit(
    file: StudyFile = None,
    check: Annotated[bool, typer.Option("--check", help="Check only; start nothing.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again returns the same study.")
    ] = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Start a study from a YAML file; prints its id."""
    if schema:
        typer.echo(json.dumps(json_schema(Study), indent=2))
        return
    if file is None:
        raise typer.BadParameter("give a study file, or --schema", param_hint="FILE")
    study, model = _read(file)
    space = search_space(model, study.recipe.modules, study.search)
    if check:
        emit(json_, space, lambda: _summary(study, space))
        return
    with connect(url) as client:
        client.register(model)
        view = client.submit(study, idempotency_key=idempotency_key)
    emit(json_, view, lambda: Group(_summary(study, space), _next_steps(view["id"])))


def _read(file: Path) -> tuple[Study, PrunedModel]:
    from pruning.container.description import describe

    study = read_study(file)
    return study, describe(Path(study.model))


def _summary(study: Study, space: SearchSpace) -> RenderableType:
    uniform = space.uniform()
    return Text(
        f"{study.name}: {len(space.layers)} layers, ranks {list(space.ranks)}, "
        f"at most {space.max_parameters:,} trainable parameters "
        f"(uniform rank {max(uniform.ranks)} uses {space.parameters(uniform):,}), "
        f"{study.search.budget.trials} trials of {study.search.trial.steps} steps"
    )


def _next_steps(study_id: str) -> Text:
    return Text.assemble(
        "study ",
        (study_id, "bold"),
        " is searching\n"
        f"  rankadaptor worker              on every GPU machine\n"
        f"  rankadaptor watch {study_id}\n"
        f"  rankadaptor verdict {study_id}",
    )
