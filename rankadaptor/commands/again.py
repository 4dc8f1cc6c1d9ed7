"""``rankadaptor extend | clone | delete``: what becomes of a study that is over."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from rankadaptor.commands.options import Json, StudyId, Url, connect
from rankadaptor.ranks.vector_file import read_vectors
from rankadaptor.rest.client import RestClient
from rankadaptor.screen import emit, err, plain
from rankadaptor.study_file import write_study
from rankadaptor.study_view import study_details
from rankspace import RankVector, Study
from rankspace.errors import InvalidInput
from rankspace.recipe import Inputs
from rankspace.study import PRIORS, Extension
from rankspace.wire import decode

IdempotencyKey = Annotated[
    str | None, typer.Option(help="The same key again changes nothing more.")
]


def extend(
    study: StudyId,
    trials: Annotated[int, typer.Option(help="Search trials beside those it had.")] = 0,
    seeds: Annotated[
        int | None,
        typer.Option(help="Fresh seeds before the first look of the new verification (as before)."),
    ] = None,
    own: Annotated[
        Path | None,
        typer.Option("--try", help="Rank vectors of your own, as for `rankadaptor try`."),
    ] = None,
    idempotency_key: IdempotencyKey = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Go on with a study that is done: more trials, then a verification on fresh seeds.

    Its verdict stays until there is the next one, which says that the study was extended.
    """
    with connect(url) as client:
        vectors = _own(client, study, own) if own else ()
        by = Extension(trials, seeds, tuple(vector.ranks for vector in vectors))
        view = client.extend(study, by, idempotency_key=idempotency_key)
    emit(json_, view, lambda: study_details(view))


def _own(client: RestClient, study: str, file: Path) -> tuple[RankVector, ...]:
    return read_vectors(file, client.space(study), client.modules(study))


def clone(
    study: StudyId,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    trials: Annotated[int | None, typer.Option(help="Another number of search trials.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed; not with --results, which are of one seed.")
    ] = None,
    results: Annotated[
        bool, typer.Option("--results", help="Begin with what the study has measured.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the study file here, and start nothing.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Start a study once more, and print its id, or write its file to change more of it."""
    changes: dict[str, Any] = {"name": name, "trials": trials, "seed": seed}
    with connect(url) as client:
        if to is not None:
            if results or any(value is not None for value in changes.values()):
                problem = "writes the file as it is; change it there"
                raise typer.BadParameter(problem, param_hint="--to")
            _write(client, study, to, json_)
            return
        view = client.clone(study, **changes, results=results, idempotency_key=idempotency_key)
    if not json_:
        err.print(study_details(view))
    emit(json_, view, lambda: Text(view["id"], style="bold"))


def _write(client: RestClient, study: str, to: Path, json_: bool) -> None:
    original = decode(Study, client.study(study)["study"])
    _check_prior(original)
    write_study(replace(original, inputs=Inputs()), to)  # submit notes what they are then
    told = f"{to} has the study; submit it with --from {study} to begin with its results"
    emit(json_, {"file": str(to)}, lambda: Text(told))


def _check_prior(study: Study) -> None:
    """The file of a prior of one's own was never sent: only its name is known."""
    prior = study.search.prior
    if prior not in PRIORS:
        problem = f"the prior {prior} of the study is a file of somebody's own"
        fix = "leave --to out, the copy has the prior; or change the study file it came from"
        raise InvalidInput("--to", prior, problem, fix=fix)


def delete(
    study: StudyId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Delete a study that is over, with its trials, events and files, for good."""
    with connect(url) as client:
        if not yes:
            _ask(client.study(study))
        client.delete(study)
    emit(json_, {"deleted": study}, lambda: Text(f"study {study} is deleted"))


def is_asked() -> bool:
    """Whether somebody can answer a question."""
    return sys.stdin.isatty()


def _ask(view: dict[str, Any]) -> None:
    """Ask whoever sits at the terminal.

    Raises:
        InvalidInput: Nobody does.
    """
    if not is_asked():
        problem = "nobody is there to be asked"
        raise InvalidInput("--yes", False, problem, fix="add --yes")
    ran = sum(counts["done"] + counts["failed"] for counts in view["progress"].values())
    adapter = " and its adapter" if view["export_ready"] else ""
    question = f"Delete {plain(view['name'])} ({view['id']}), its {ran} results{adapter}, for good?"
    typer.confirm(question, abort=True, err=True)
