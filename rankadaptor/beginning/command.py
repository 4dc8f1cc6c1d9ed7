"""``rankadaptor init``: a commented study file from a model, training data and a device."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rankadaptor.beginning.new_file import check_place, write_new
from rankadaptor.commands.options import Json
from rankadaptor.doctor.device_option import device_and_memory
from rankadaptor.screen import emit, err
from rankadaptor.study_file import absolute, read_study
from tuning.reading.hub import is_address


def init(
    model: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    data: Annotated[
        str, typer.Argument(help="Training data: a file, or hf://datasets/… in the cache.")
    ],
    output: Annotated[Path, typer.Option(help="The study file to write.")] = Path("study.yaml"),
    device: Annotated[
        str,
        typer.Option(
            help="What trials run on: cpu, cuda or cuda:1; auto takes a GPU where there is one."
        ),
    ] = "auto",
    memory: Annotated[
        str | None,
        typer.Option(
            help="Plan for workers of this size instead, like 24GiB: GPUs unless --device cpu.",
            metavar="SIZE",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json_: Json = False,
) -> None:
    """Write a commented study file from what a model, its data and a device are.

    Reads headers and data, no weights; what it writes passes `submit --check` as far as they tell.
    """
    check_place(output, force=force)
    place, there = device_and_memory(device, memory)
    from rankadaptor.beginning.draft import draft_of, head_of
    from rankadaptor.beginning.findings import look
    from rankadaptor.beginning.study_text import study_text
    from rankadaptor.beginning.view import as_document, draft_view

    train = data if is_address(data) else str(absolute(Path(data)))
    with err.status("looking at model and data"):
        draft = draft_of(look(absolute(model), train, place, there))
    text = study_text(head_of(draft), draft.choices)
    write_new(output, text, read_study, force=force)
    if place.type == "cpu" and memory is None:
        said = "planned for this machine's CPU; for workers with a GPU say --memory 24GiB --force"
        err.print(Text(said, style="yellow"))
    emit(json_, as_document(draft, output) if json_ else None, lambda: draft_view(draft, output))
