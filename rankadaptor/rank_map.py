"""The rank map: one vector as a picture, kinds of matrices down and blocks across."""

from rich.table import Table
from rich.text import Text

from rankspace import RankVector, SearchSpace

SHADES = ("grey42", "sky_blue3", "steel_blue1", "green3", "yellow3", "orange3", "red3")


def rank_map(space: SearchSpace, vector: RankVector, title: str) -> Table:
    """Draw ``vector``; a dot is rank 0, a matrix that is not searched stays empty."""
    blocks = sorted({layer.block for layer in space.layers if layer.block is not None})
    kinds = list(dict.fromkeys(layer.module or "block" for layer in space.layers))
    cells = {
        (layer.module or "block", layer.block): rank
        for layer, rank in zip(space.layers, vector.ranks, strict=True)
    }
    table = Table(title=title, title_style="bold", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for block in blocks:
        table.add_column(str(block), justify="right", header_style="dim")
    top = max(*space.ranks, *vector.ranks)
    for kind in kinds:
        table.add_row(kind, *(_cell(cells.get((kind, block)), top) for block in blocks))
    return table


def _cell(rank: int | None, top: int) -> Text:
    if rank is None:
        return Text("")
    shade = SHADES[round(rank / max(top, 1) * (len(SHADES) - 1))]
    return Text("·" if rank == 0 else str(rank), style=shade)
