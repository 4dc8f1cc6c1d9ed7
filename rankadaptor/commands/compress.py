"""``rankadaptor compress``: prune a model and write it as a container."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rankadaptor.blocks import parse_blocks
from rankadaptor.commands.options import Json
from rankadaptor.progress import counted
from rankadaptor.pruning_view import pruning_table
from rankadaptor.screen import emit
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    from pruning.methods.settings import PrunerName


def compress(
    method: Annotated[str, typer.Argument(help="taylor (LLM-Pruner), or another; see --help.")],
    source: Annotated[Path, typer.Argument(help="A Hugging Face directory or a container.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    ratio: Annotated[float, typer.Option(help="Share of heads and channels to remove.")] = 0.5,
    blocks: Annotated[
        str | None, typer.Option(help="Blocks to prune, like 4-29 or 1,3,5 (all but the ends).")
    ] = None,
    ranking: Annotated[
        str, typer.Option(help="local: the share from each block; global: blocks compete.")
    ] = "local",
    samples: Annotated[int, typer.Option(help="Calibration sequences.")] = 10,
    length: Annotated[int, typer.Option(help="Tokens per sequence.")] = 64,
    seed: Annotated[int, typer.Option(help="Which sequences.")] = 42,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json_: Json = False,
) -> None:
    """Prune heads and FFN channels of a model."""
    from pruning.container.description import describe
    from pruning.methods.compression import compress as run
    from pruning.methods.settings import PruningSettings
    from pruning.profiling.calibration_text import CalibrationText

    dense = describe(source)
    count = 1 + max(matrix.block for matrix in dense.matrices)
    settings = PruningSettings(
        parse_blocks(blocks, count), ratio, _method(method), _ranking(ranking), seed
    )
    with counted("looking at the weights", samples) as advance:
        pruned = run(
            source,
            target,
            settings,
            CalibrationText(text, samples, length, seed),
            device=device,
            on_progress=advance,
        )
    emit(json_, pruned, lambda: pruning_table(dense, pruned))


def _method(name: str) -> "PrunerName":
    from pruning.methods.settings import PrunerName

    if name not in set(PrunerName):
        known = ", ".join(PrunerName)
        raise InvalidInput("method", name, "is not a pruner", fix=f"use one of: {known}")
    return PrunerName(name)


def _ranking(name: str) -> Literal["local", "global"]:
    if name == "local":
        return "local"
    if name == "global":
        return "global"
    raise InvalidInput("ranking", name, "is not a ranking", fix="use local or global")
