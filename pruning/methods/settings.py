"""What a pruning run is asked for."""

from dataclasses import dataclass
from enum import StrEnum

from pruning.methods.plan import Ranking
from pruning.rates.rules import UNIFORM, RateRule
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
        ratio: Share of heads and of channels to remove from all of them together, in (0, 1).
        method: How to score.
        ranking: ``local`` removes its share from each block, to the nearest whole group or channel;
            ``global`` compares the blocks, heads with heads and channels with channels, and removes
            the ratio from all of them together. One of each stays in every block.
        seed: Of the method ``random``.
        rates: How the ratio is shared out among the blocks.
    """

    blocks: tuple[int, ...]
    ratio: float = 0.5
    method: PrunerName = PrunerName.TAYLOR
    ranking: Ranking = "local"
    seed: int = 0
    rates: RateRule = UNIFORM

    def __post_init__(self) -> None:
        if not 0.0 < self.ratio < 1.0:
            raise InvalidInput("ratio", self.ratio, "must lie between 0 and 1", fix="use 0.5")
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)) or self.blocks[0] < 0:
            raise InvalidInput(
                "blocks", self.blocks, "must be rising indices", fix="write them like [1, 2, 3]"
            )
        if self.ranking == "global" and self.rates != UNIFORM:
            problem = f"lets the blocks compete, so that {self.rates.label} cannot share out"
            raise InvalidInput("ranking", self.ranking, problem, fix="use local, or uniform rates")
