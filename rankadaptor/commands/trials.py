"""``rankadaptor trials | try``: what was tried, and what a person wants tried."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from rankadaptor.commands.options import Json, StudyId, Url, connect
from rankadaptor.ranks.trial_table import trial_table, write_csv
from rankadaptor.ranks.vector_file import read_vectors
from rankadaptor.screen import emit
from rankspace import RankVector, SearchSpace

LONGEST_KEY = 200

VectorFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="JSON: [0, 4, …] in the order of the layers, {name or pattern: rank}, a PEFT "
        "adapter_config.json with its rank_pattern, or a list of these.",
    ),
]


def trials(
    study: StudyId,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, with one column per layer.")
    ] = False,
    url: Url = None,
    json_: Json = False,
) -> None:
    """List a study's trials, offers included."""
    if csv and json_:
        raise typer.BadParameter("choose one of --csv and --json", param_hint="--csv")
    with connect(url) as client:
        found = client.trials(study)
        if csv:
            write_csv(found, client.space(study), sys.stdout)
            return
        listed = list(found)
    emit(json_, listed, lambda: trial_table(listed))


def try_(
    study: StudyId,
    file: VectorFile,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and file again queue nothing more.")
    ] = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Have rank vectors of your own measured, within the study's budget of trials.

    A study that is done goes on for them with `rankadaptor extend STUDY --try FILE`.
    """
    with connect(url) as client:
        space = client.space(study)
        vectors = read_vectors(file, space, client.modules(study))
        queued = list[dict[str, Any]]()
        try:
            for number, vector in enumerate(vectors):
                key = _numbered(idempotency_key, number)
                queued.append(client.offer(study, vector, idempotency_key=key))
        finally:  # whatever stops it half way: those before it will run
            if queued:
                emit(json_, queued, lambda: Text(_queued(queued, vectors, space)))


def _numbered(key: str | None, number: int) -> str | None:
    """A key of its own for each vector of a file, no longer than the service takes."""
    if not key:
        return None
    own = f"{key} {number}"
    return own if len(own) <= LONGEST_KEY else hashlib.sha256(own.encode()).hexdigest()


def _queued(
    queued: Sequence[dict[str, Any]], vectors: Sequence[RankVector], space: SearchSpace
) -> str:
    both = zip(queued, vectors, strict=False)
    lines = [f"trial {trial['id']}: {_price(space, vector)}" for trial, vector in both]
    if len(queued) < len(vectors):
        lines.append(f"queued {len(queued)} of {len(vectors)} vectors; the others are not")
    return "\n".join(lines)


def _price(space: SearchSpace, vector: RankVector) -> str:
    spent, most = space.parameters(vector), space.max_parameters
    ranks = f"ranks {min(vector.ranks)} to {max(vector.ranks)}"
    return f"{spent:,} of at most {most:,} parameters, {ranks}"
