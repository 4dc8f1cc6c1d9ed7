"""What a pruning run is asked for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from rankspace.errors import InvalidInput


class PrunerName(StrEnum):
    """Ways to score heads and channels."""

    TAYLOR = "taylor"
    TAYLOR_MIX = "taylor-mix"
    TAYLOR_VECTOR = "taylor-vector"
    MAGNITUDE = "magnitude"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class PruningSettings:
    """How much to remove, where, and by which score.

    Attributes:
        blocks: Decoder blocks to prune; LLM-Pruner spares the first few and the last two.
        ratio: Share of heads and of channels to remove from them, in (0, 1), to the nearest whole
            group or channel; one of each stays in every block.
        method: How to score.
        ranking: ``local`` removes the share from each block; ``global`` compares the blocks, heads
            with heads and channels with channels, and removes it from all of them together.
        seed: Of the method ``random``.
    """

    blocks: tuple[int, ...]
    ratio: float = 0.5
    method: PrunerName = PrunerName.TAYLOR
    ranking: Literal["local", "global"] = "local"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise InvalidInput("ratio", self.ratio, "must lie between 0 and 1", fix="use 0.5")
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)) or self.blocks[0] < 0:
            raise InvalidInput(
                "blocks", self.blocks, "must be rising indices", fix="write them like [1, 2, 3]"
            )
