"""RankGrid: one vector laid out by kinds of matrices and blocks, as every picture of it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput

WHOLE = "block"
"""The kind of a layer that is a whole block."""


@dataclass(frozen=True, slots=True)
class RankGrid:
    """Kinds of matrices down, blocks across.

    Attributes:
        kinds: In the order of the model.
        blocks: Rising.
        ranks: By kind and block; a matrix that is not searched has none.
        top: The highest rank that is allowed or had, at least 1.
        left_out: Layers that have no place of their own: outside of the blocks, or a second one of
            a kind in its block.
    """

    kinds: tuple[str, ...]
    blocks: tuple[int, ...]
    ranks: Mapping[tuple[str, int], int]
    top: int
    left_out: int

    def shade(self, rank: int, shades: int) -> int:
        """Which of ``shades`` a rank has, from 0 for rank 0 up to ``shades - 1`` for ``top``."""
        return round(rank / self.top * (shades - 1))

    @property
    def remark(self) -> str:
        """What is not shown; empty if all is."""
        if not self.left_out:
            return ""
        layers = "1 layer has" if self.left_out == 1 else f"{self.left_out:,} layers have"
        return f"{layers} no place of their own in blocks and kinds, and are not shown"


def rank_grid(space: SearchSpace, vector: RankVector) -> RankGrid:
    """Lay ``vector`` out.

    Raises:
        InvalidInput: It has another number of ranks than ``space`` has layers.
    """
    count = len(space.layers)
    if len(vector) != count:
        problem, fix = f"has {len(vector)} ranks for {count} layers", f"give {count} ranks"
        raise InvalidInput("rank_vector", vector.ranks, problem, fix=fix)
    ranks: dict[tuple[str, int], int] = {}
    for layer, rank in zip(space.layers, vector.ranks, strict=True):
        if layer.block is not None:
            ranks.setdefault((layer.module or WHOLE, layer.block), rank)
    return RankGrid(
        kinds=tuple(dict.fromkeys(kind for kind, _ in ranks)),
        blocks=tuple(sorted({block for _, block in ranks})),
        ranks=ranks,
        top=max(*space.ranks, *vector.ranks, 1),
        left_out=count - len(ranks),
    )
