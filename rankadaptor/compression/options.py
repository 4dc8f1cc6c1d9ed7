"""Options of ``compress`` that say what is removed."""

from typing import Annotated

import typer

from pruning.methods.about import ABOUT

Method = Annotated[
    str,
    typer.Argument(help="\n\n".join(f"{name}: {about}" for name, about in ABOUT.items())),
]
Ratio = Annotated[
    float | None,
    typer.Option(
        help="Share of heads and channels, of weights (lorap) or of blocks to remove (0.5, or what "
        "--rates says)."
    ),
]
Rates = Annotated[
    str,
    typer.Option(
        help="How blocks share the ratio: uniform, atp:STEP, depth-linear:FIRST, "
        "alpha-pruning[:SPREAD], rmi[:DELTA], cfsp[:SLOPE], or a file: of the command rates, "
        "or with a line like 4: 0.25 for each block."
    ),
]
Blocks = Annotated[
    str | None,
    typer.Option(
        help="Blocks to prune, like 4-29 or 1,3,5 (all but the ends; of loraprune all but the "
        "first tenth and the last)."
    ),
]
Ranking = Annotated[
    str | None,
    typer.Option(
        help="local: the share from each block; global: blocks compete (the method's own: global "
        "of flap and of those that drop blocks, else local)."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(help="Calibration sequences (10; of loraprune, which trains on them, 1024)."),
]
Length = Annotated[int | None, typer.Option(help="Tokens per sequence (64; of loraprune 256).")]
Epochs = Annotated[int | None, typer.Option(help="Of loraprune: passes over the sequences (2).")]
Batch = Annotated[int | None, typer.Option(help="Of loraprune: sequences of a step (16).")]
LearningRate = Annotated[
    float | None,
    typer.Option(help="Of loraprune: at the first step, falling towards 0 (1e-4)."),
]
