"""What a pruning run is asked for; needs no torch."""

from dataclasses import dataclass, field
from enum import StrEnum

from pruning.methods.plan import Ranking, TrainingSettings
from pruning.rates.rules import UNIFORM, RateRule
from rankspace.errors import InvalidInput


class PrunerName(StrEnum):
    """Ways to prune; ``pruning.methods.about`` says what each does."""

    TAYLOR = "taylor"
    TAYLOR_MIX = "taylor-mix"
    TAYLOR_VECTOR = "taylor-vector"
    MAGNITUDE = "magnitude"
    RANDOM = "random"
    WANDA_STRUCTURED = "wanda-structured"
    FLAP = "flap"
    LORAP = "lorap"
    LORAP_PLAIN = "lorap-plain"
    LORAPRUNE = "loraprune"
    DEPTH_TAYLOR = "depth-taylor"
    DEPTH_PERPLEXITY = "depth-perplexity"


@dataclass(frozen=True, slots=True)
class PruningSettings:
    """How much to remove, where, and by which method.

    Attributes:
        blocks: Decoder blocks to prune; LLM-Pruner spares the first few and the last two.
        ratio: Share of heads and of channels to remove from all of them together, in (0, 1).
        method: How to find what is removed.
        ranking: ``local`` removes its share from each block, to the nearest whole group or channel;
            ``global`` compares the blocks, heads with heads and channels with channels, and removes
            the ratio from all of them together. One of each stays in every block. None is the
            method's own: ``global`` of those that compare blocks (FLAP, depth), else ``local``.
        seed: Of the method ``random``, and of methods that train.
        rates: How the ratio is shared out among the blocks.
        training: Of methods that train.
    """

    blocks: tuple[int, ...]
    ratio: float = 0.5
    method: PrunerName = PrunerName.TAYLOR
    ranking: Ranking | None = None
    seed: int = 0
    rates: RateRule = UNIFORM
    training: TrainingSettings = field(default_factory=TrainingSettings)

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
