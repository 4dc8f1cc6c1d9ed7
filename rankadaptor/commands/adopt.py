"""``rankadaptor adopt``: make a container of a model that another tool has pruned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from rankadaptor.blocks import parse_original
from rankadaptor.commands.options import Json
from rankadaptor.screen import emit

_LEFT_OUT = {
    "dropped": "are skipped by it and left out",
    "without_attention": "have no attention",
    "without_mlp": "have no MLP",
}
"""What a tool removed, by where the container keeps it, with the numbers of the dense model."""


def adopt(
    source: Annotated[Path, typer.Argument(help="A Hugging Face directory with safetensors.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    original: Annotated[
        str | None,
        typer.Option(help="Which blocks of the dense model are left, like 0-20,25 (all)."),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option(
            "--trust-pickle",
            help="Read LLM-Pruner's pytorch_model.bin, as data: no name in it is looked up and "
            "nothing called, so that code in it does not run. It does not protect from faults of "
            "Python's readers of zip files and pickles, nor from a pickle that fills the memory.",
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Make a container of a pruned model: block sizes are read off its weights."""
    from pruning.container.manifest import NAME, read_manifest
    from pruning.importing.adoption import adopt as run

    blocks = parse_original(original) if original is not None else None
    adopted = run(source, target, original=blocks, trust_pickle=trust_pickle)
    count = 1 + max(matrix.block for matrix in adopted.matrices)
    origin = read_manifest(target / NAME).provenance
    text = f"{target}: {count} blocks, {adopted.parameters:,} parameters{_account(origin)}"
    emit(json_, adopted, lambda: Text(text))


def _account(origin: Mapping[str, Any]) -> str:
    """Say by whose account a source was read, and what it left out."""
    split = ""
    if "split_from" in origin:
        split = f"\nwas {origin['split_from']}: fused matrices were split, it computes the same"
    if "tool" not in origin:
        return split
    told = [
        f"; blocks {', '.join(map(str, origin[key]))} {what}"
        for key, what in _LEFT_OUT.items()
        if origin[key]
    ]
    return f"{split}\nread as {origin['tool']} says, which agrees with the weights{''.join(told)}"
