"""The rank map: one vector as a picture, kinds of matrices down and blocks across."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.ranks.rank_grid import RankGrid, rank_grid
from rankspace import RankVector, SearchSpace

SHADES = ("grey42", "sky_blue3", "steel_blue1", "green3", "yellow3", "orange3", "red3")


def rank_map(space: SearchSpace, vector: RankVector, title: str) -> RenderableType:
    """Draw ``vector``; a dot is rank 0, a matrix that is not searched stays empty."""
    grid = rank_grid(space, vector)
    table = Table(title=title, title_style="bold", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for block in grid.blocks:
        table.add_column(str(block), justify="right", header_style="dim")
    for kind in grid.kinds:
        table.add_row(kind, *(_cell(grid, kind, block) for block in grid.blocks))
    return Group(table, grid.remark) if grid.remark else table


def _cell(grid: RankGrid, kind: str, block: int) -> Text:
    rank = grid.ranks.get((kind, block))
    if rank is None:
        return Text("")
    style = SHADES[grid.shade(rank, len(SHADES))]
    return Text("·" if rank == 0 else str(rank), style=style)
