"""Pictures of the status page as data for inline SVG; no style and no script in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankspace import RankVector, SearchSpace

WIDTH, HEIGHT = 640.0, 180.0
SHADES = 9


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores of the search in the order of acceptance, in a box of WIDTH by HEIGHT."""

    dots: tuple[tuple[float, float], ...]
    best: str
    uniform: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A run of equal ranks in a heat strip."""

    start: int
    length: int
    shade: int
    label: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A vector as a table: kinds of matrices down, blocks across.

    Attributes:
        blocks: Headings of the columns.
        rows: The kind, and for each block its rank and shade, or None where nothing is searched.
    """

    blocks: tuple[int, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int] | None, ...]], ...]


DOTS = 800
"""Trials drawn at most, evenly chosen; the line of the best so far knows them all."""


def curve(scores: Sequence[float], uniform: float | None) -> Curve | None:
    """Plot what was found so far, in the order of acceptance; None before there are two points."""
    if len(scores) < 2:
        return None
    low, high = min(scores), max(scores)
    span = (high - low) or 1.0

    def position(index: int, score: float) -> tuple[float, float]:
        x = 10 + (WIDTH - 20) * index / (len(scores) - 1)
        return round(x, 1), round(HEIGHT - 10 - (HEIGHT - 20) * (score - low) / span, 1)

    dots = tuple(position(index, score) for index, score in enumerate(scores))
    level = None if uniform is None else position(0, uniform)[1]
    return Curve(dots[:: len(dots) // DOTS + 1], _steps(dots), level, low, high)


def _steps(dots: Sequence[tuple[float, float]]) -> str:
    """The running best as points of a polyline; smaller y is higher up."""
    best = dots[0][1]
    points: list[str] = []
    for x, y in dots:
        if y < best or x in (dots[0][0], dots[-1][0]):
            points.append(f"{x},{best}")
            best = min(best, y)
            points.append(f"{x},{best}")
    return " ".join(points)


def strip(vector: RankVector, space: SearchSpace) -> tuple[Cell, ...]:
    """Merge neighbouring layers of equal rank into cells, shaded from 0 to SHADES."""
    largest = max(*space.ranks, *vector.ranks, 1)
    cells: list[Cell] = []
    start = 0
    for index in range(1, len(vector) + 1):
        if index == len(vector) or vector.ranks[index] != vector.ranks[start]:
            cells.append(_cell(vector, space, start, index, largest))
            start = index
    return tuple(cells)


def grid(vector: RankVector, space: SearchSpace) -> Grid | None:
    """Lay out ``vector``; None where the layers do not say which block they belong to."""
    if any(layer.block is None for layer in space.layers):
        return None
    largest = max(*space.ranks, *vector.ranks, 1)
    matrices = [(layer.module or "block", layer.block or 0) for layer in space.layers]
    shaded = [(rank, _shade(rank, largest)) for rank in vector.ranks]
    cells = dict(zip(matrices, shaded, strict=True))
    blocks = tuple(sorted({block for _, block in matrices}))
    kinds = dict.fromkeys(kind for kind, _ in matrices)
    return Grid(blocks, tuple((k, tuple(cells.get((k, b)) for b in blocks)) for k in kinds))


def _shade(rank: int, largest: int) -> int:
    return -(-rank * SHADES // largest)


def _cell(vector: RankVector, space: SearchSpace, start: int, end: int, largest: int) -> Cell:
    rank = vector.ranks[start]
    first, last = space.layers[start].name, space.layers[end - 1].name
    name = first if end == start + 1 else f"{first} … {last}"
    return Cell(start, end - start, _shade(rank, largest), f"{name}: rank {rank}")
