"""The plan: which cells a run fills. A cell is a family in one number of layers."""

from collections.abc import Collection
from dataclasses import dataclass

from bench.proposers.problems.families import FAMILIES


@dataclass(frozen=True)
class Cell:
    """A family, its dimensions, and the numbers of trials after which arms are asked."""

    family: str
    layers: int
    lengths: tuple[int, ...]


PLAN = (
    Cell("reference", 32, (25, 50, 100)),
    Cell("reference", 128, (100,)),
    Cell("separable", 8, (25,)),
    Cell("separable", 32, (25, 50, 100)),
    Cell("separable", 128, (100,)),
    Cell("separable", 224, (100,)),
    Cell("interactions", 8, (25,)),
    Cell("interactions", 32, (50,)),
    Cell("bottleneck", 8, (25,)),
    Cell("bottleneck", 32, (50,)),
    Cell("non-monotone", 8, (25,)),
    Cell("non-monotone", 32, (50,)),
    Cell("heavy-noise", 32, (50,)),
    Cell("flat", 32, (50,)),
    Cell("block-kind", 56, (60,)),
    Cell("block-kind", 224, (60,)),
    Cell("surfaces", 0, (40,)),
    Cell("neighbours", 32, (50,)),
    Cell("peaks", 32, (50,)),
    Cell("worst-few", 32, (50,)),
    Cell("diverging", 32, (50,)),
)
QUICK = (Cell("reference", 32, (50,)), Cell("separable", 32, (50,)))
LENGTHS = (25, 50, 100)
"""For a cell that the plan does not name."""


def cells(
    quick: bool,
    families: Collection[str] | None = None,
    layers: Collection[int] | None = None,
    lengths: tuple[int, ...] | None = None,
) -> tuple[Cell, ...]:
    """Return the cells of the plan that are asked for, or those asked for and not in it."""
    known = QUICK if quick else PLAN
    found = [c for c in known if families is None or c.family in families]
    found = [c for c in found if layers is None or c.layers in layers]
    if families and layers:
        named = {(cell.family, cell.layers) for cell in found}
        asked = [(f, n) for f in families for n in layers if (f, n) not in named]
        found += [Cell(family, n, LENGTHS) for family, n in asked if family in FAMILIES]
    return tuple(Cell(c.family, c.layers, lengths or c.lengths) for c in found)
