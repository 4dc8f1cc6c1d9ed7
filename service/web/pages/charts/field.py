"""Ranks of many trials at once: a row for each trial, the best first, a column for each layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rankspace import RankVector, SearchSpace
from service.web.pages.charts.matrix import Stretch, largest_rank, shade, stretches

ROWS = 40
"""Trials drawn at most."""

ROW = 10


@dataclass(frozen=True, slots=True)
class Scored:
    """A vector and what it scored."""

    trial: int
    score: float
    rank_vector: RankVector


@dataclass(frozen=True, slots=True)
class Row:
    """Attributes: the trial, how far below the upper edge it is drawn, and its ranks as paths."""

    of: Scored
    top: int
    runs: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """Attributes: rows, the kinds of matrices with their first and last column, and the size."""

    rows: tuple[Row, ...]
    kinds: tuple[tuple[str, int, int], ...]
    width: int
    height: int


def evenly(count: int, most: int = ROWS) -> list[int]:
    """Places of at most ``most`` among ``count``: the first, the last, and evenly between them."""
    if count <= most:
        return list(range(count))
    return [round(at * (count - 1) / (most - 1)) for at in range(most)]


def field(scored: Sequence[Scored], space: SearchSpace) -> Field | None:
    """Draw ``scored``, the best first; None of fewer than two. Columns of one kind stand together.

    A rank is shaded by the largest that is allowed, so that rows can be compared.
    """
    if len(scored) < 2:
        return None
    kinds = [layer.module or "block" for layer in space.layers]
    first = {kind: at for at, kind in reversed([*enumerate(kinds)])}
    order = sorted(range(len(kinds)), key=lambda at: (first[kinds[at]], at))
    largest = largest_rank(space)
    rows = []
    for at, one in enumerate(scored):
        shades = [min(shade(one.rank_vector.ranks[layer], largest), 9) for layer in order]
        rows.append(Row(one, at * ROW, stretches(shades, at * ROW, ROW)))
    return Field(tuple(rows), _spans([kinds[at] for at in order]), len(kinds), len(rows) * ROW)


def _spans(kinds: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Where each kind begins and how many columns it has."""
    found, start = [], 0
    for kind, members in groupby(kinds):
        count = len(list(members))
        found.append((kind, start, count))
        start += count
    return tuple(found)
