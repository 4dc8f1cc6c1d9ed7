"""``rankadaptor adopt``: make a container of a model that another tool has pruned."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rankadaptor.blocks import parse_original
from rankadaptor.commands.options import Json
from rankadaptor.screen import emit


def adopt(
    source: Annotated[Path, typer.Argument(help="A Hugging Face directory with safetensors.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    original: Annotated[
        str | None,
        typer.Option(help="Which blocks of the dense model are left, like 0-20,25 (all)."),
    ] = None,
    json_: Json = False,
) -> None:
    """Make a container of a pruned model: block sizes are read off its weights."""
    from pruning.container.adoption import adopt as run

    blocks = parse_original(original) if original is not None else None
    adopted = run(source, target, original=blocks)
    count = 1 + max(matrix.block for matrix in adopted.matrices)
    emit(
        json_,
        adopted,
        lambda: Text(f"{target}: {count} blocks, {adopted.parameters:,} parameters"),
    )
