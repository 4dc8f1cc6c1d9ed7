"""Recorded surfaces (``bench/surfaces``) as finished studies."""

import json
from pathlib import Path
from typing import Any

from perfmodel.meta.finished import FinishedStudy
from rankspace import Context, Observation, RankVector, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.wire import decode


def recorded_studies(folder: Path) -> tuple[FinishedStudy, ...]:
    """Every surface in ``folder``, by name.

    Raises:
        InvalidInput: There is none, or a file is no surface.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InvalidInput(
            "surfaces", str(folder), "holds no .jsonl file", fix="give bench/surfaces/data"
        )
    return tuple(map(recorded_study, files))


def recorded_study(file: Path) -> FinishedStudy:
    """Read one surface; scores are minus the losses, in nats.

    Raises:
        InvalidInput: The file is no surface, or an old one without its context.
    """
    first, *rows = _lines(file)
    try:
        return FinishedStudy(
            name=first["surface"]["name"],
            space=decode(SearchSpace, first["space"], "space"),
            context=decode(Context, first["context"], "context"),
            observations=tuple(map(_observation, rows)),
            model=first["fingerprint"],
            family=first["surface"]["base"],
        )
    except KeyError as error:
        raise InvalidInput(
            f"{file.name}.{error.args[0]}", None, "is missing", fix="record the surface anew"
        ) from None
    except InvalidInput as error:
        raise error.under(file.name) from None


def _lines(file: Path) -> list[dict[str, Any]]:
    lines = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise InvalidInput(
                f"{file.name}, line {number}",
                f"{len(line):,} characters",
                str(error),
                fix="remove the damaged line",
            ) from None
    if not lines:
        raise InvalidInput(file.name, "", "is empty", fix="record the surface anew")
    return lines


def _observation(row: dict[str, Any]) -> Observation:
    return Observation(RankVector(tuple(row["ranks"])), -row["loss"], row["seed"])
