"""Two vectors side by side: only where they differ."""

from dataclasses import dataclass

from rankspace import RankVector, SearchSpace
from service.web.pages.charts.matrix import grid


@dataclass(frozen=True, slots=True)
class Change:
    """A layer that differs: its name, and its two ranks."""

    name: str
    left: int
    right: int

    @property
    def by(self) -> int:
        return self.right - self.left


@dataclass(frozen=True, slots=True)
class Difference:
    """Attributes: the layers that differ; and laid out, blocks down and kinds across, or None."""

    changes: tuple[Change, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[int, tuple[int | None, ...]], ...]


def difference(left: RankVector, right: RankVector, space: SearchSpace) -> Difference:
    """Find what ``right`` has more or less than ``left``; blocks and kinds without any left out."""
    changes = tuple(
        Change(layer.name, before, after)
        for layer, before, after in zip(space.layers, left.ranks, right.ranks, strict=True)
        if before != after
    )
    one, other = grid(left, space), grid(right, space)
    if one is None or other is None:
        return Difference(changes, (), ())
    moved = [
        (kind, [_by(a, b) for a, b in zip(before, after, strict=True)])
        for (kind, before), (_, after) in zip(one.rows, other.rows, strict=True)
    ]
    moved = [(kind, cells) for kind, cells in moved if any(cells)]
    columns = zip(*(cells for _, cells in moved), strict=True)
    rows = tuple((b, cells) for b, cells in zip(one.blocks, columns, strict=False) if any(cells))
    return Difference(changes, tuple(kind for kind, _ in moved), rows)


def _by(before: tuple[int, int] | None, after: tuple[int, int] | None) -> int | None:
    if before is None or after is None or before[0] == after[0]:
        return None
    return after[0] - before[0]
