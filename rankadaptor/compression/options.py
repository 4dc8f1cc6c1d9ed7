"""Options of ``compress`` that say what is removed."""

from typing import Annotated

import typer

Ratio = Annotated[
    float | None,
    typer.Option(help="Share of heads and channels to remove (0.5, or what --rates says)."),
]
Rates = Annotated[
    str,
    typer.Option(
        help="How blocks share the ratio: uniform, atp:STEP, depth-linear:FIRST, "
        "alpha-pruning[:SPREAD], or a file with a line like 4: 0.25 for each block."
    ),
]
Blocks = Annotated[
    str | None, typer.Option(help="Blocks to prune, like 4-29 or 1,3,5 (all but the ends).")
]
Ranking = Annotated[
    str, typer.Option(help="local: the share from each block; global: blocks compete.")
]
