"""A vector as a table, kinds of matrices by blocks, and as a strip: data, no style in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rankspace import RankVector, SearchSpace

SHADES = 9

BAND = 32
"""Blocks side by side at most: as many as can be read on a screen of 1280 pixels."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Runs of one shade in a strip, as the path of an SVG ten units high."""

    shade: int
    path: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A vector as a table: kinds of matrices down, blocks across.

    Attributes:
        blocks: Headings of the columns.
        rows: The kind, and for each block its rank and shade, or None where nothing is searched.
    """

    blocks: tuple[int, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int] | None, ...]], ...]

    @property
    def bands(self) -> "tuple[Grid, ...]":
        """The same in parts of at most ``BAND`` blocks, one below the other."""
        starts = range(0, len(self.blocks), BAND)
        return tuple(
            Grid(
                self.blocks[at : at + BAND],
                tuple((kind, cells[at : at + BAND]) for kind, cells in self.rows),
            )
            for at in starts
        )

    @property
    def turned(self) -> tuple[tuple[int, tuple[tuple[int, int] | None, ...]], ...]:
        """A block and its cells, kind by kind: for screens that are narrow."""
        columns = zip(*(cells for _, cells in self.rows), strict=True)
        return tuple(zip(self.blocks, columns, strict=True))


def strip(vector: RankVector, space: SearchSpace) -> tuple[Stretch, ...]:
    """Merge neighbouring layers of one shade into runs; without those of rank 0."""
    largest = largest_rank(space, vector)
    return stretches([shade(rank, largest) for rank in vector.ranks])


def stretches(shades: Sequence[int], top: int = 0, height: int = 10) -> tuple[Stretch, ...]:
    """A row of cells one unit wide, as one path for each shade but 0."""
    paths: dict[int, list[str]] = {}
    for start, length, of in _runs(shades):
        if of:
            paths.setdefault(of, []).append(f"M{start} {top}h{length}v{height}h-{length}z")
    return tuple(Stretch(of, "".join(parts)) for of, parts in sorted(paths.items()))


def _runs(shades: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Where a run of equal shades starts, its length, and the shade."""
    start = 0
    for index in range(1, len(shades) + 1):
        if index == len(shades) or shades[index] != shades[start]:
            yield start, index - start, shades[start]
            start = index


def grid(vector: RankVector, space: SearchSpace) -> Grid | None:
    """Lay out ``vector``; None where the layers do not say which block they belong to."""
    if any(layer.block is None for layer in space.layers):
        return None
    largest = largest_rank(space, vector)
    matrices = [(layer.module or "block", layer.block or 0) for layer in space.layers]
    shaded = [(rank, shade(rank, largest)) for rank in vector.ranks]
    cells = dict(zip(matrices, shaded, strict=True))
    blocks = tuple(sorted({block for _, block in matrices}))
    kinds = dict.fromkeys(kind for kind, _ in matrices)
    return Grid(blocks, tuple((k, tuple(cells.get((k, b)) for b in blocks)) for k in kinds))


def largest_rank(space: SearchSpace, *vectors: RankVector) -> int:
    """The rank that is drawn darkest."""
    return max(*space.ranks, *(rank for vector in vectors for rank in vector.ranks), 1)


def shade(rank: int, largest: int) -> int:
    """0 for no adapter, else 1 to ``SHADES``."""
    return -(-rank * SHADES // largest)


def in_words(vector: RankVector) -> str:
    """The essence of a vector, for whoever does not see the picture."""
    ranks = vector.ranks
    without = ranks.count(0)
    spread = f"{min(ranks)} to {max(ranks)}, {sum(ranks) / len(ranks):.1f} on average"
    idle = f", {without} without an adapter" if without else ""
    return f"{len(ranks)} layers, ranks {spread}{idle}"
