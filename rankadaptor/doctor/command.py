"""``rankadaptor doctor``: whether a study's trials fit into a device's memory."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from rankadaptor.commands.options import Json
from rankadaptor.doctor.device_option import device_and_memory
from rankadaptor.screen import emit
from rankadaptor.study_file import read_study
from rankspace import Study
from rankspace.recipe import Data, Recipe


def doctor(
    model: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    recipe: Annotated[
        Path | None,
        typer.Option(help="The study file whose recipe and ranks to plan for; else the defaults."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda or cuda:1; auto takes a GPU where there is one.")
    ] = "auto",
    memory: Annotated[
        str | None,
        typer.Option(
            help="Plan for a device of this size instead, like 24GiB: a GPU unless --device cpu.",
            metavar="SIZE",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Say what trials take of a device's memory, and with what micro-batch they fit.

    Reads no weights and no data: a moment, whatever the model's size.
    """
    from rankadaptor.doctor.diagnosis import diagnose
    from rankadaptor.doctor.view import diagnosis_view

    place, there = device_and_memory(device, memory)
    found, refusal = diagnose(_study(model, recipe), place, there)
    emit(json_, found, lambda: diagnosis_view(found))
    if refusal is not None:
        raise refusal


def _study(model: Path, recipe: Path | None) -> Study:
    if recipe is not None:
        return replace(read_study(recipe), model=str(model))
    return Study("doctor", str(model), Recipe(Data("none")))
