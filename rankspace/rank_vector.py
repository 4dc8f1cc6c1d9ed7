"""RankVector: what a study searches for."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from rankspace.errors import InvalidInput

MOST_RANK = 65_536
"""No matrix is so wide; beyond it, parameter counts leave every table."""


@dataclass(frozen=True, slots=True)
class RankVector:
    """One LoRA rank per layer, in the order of the search space. Rank 0: no adapter there."""

    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.ranks, default=0) < 0:
            raise InvalidInput(
                "ranks", self.ranks, "a rank is negative", fix="use 0 for no adapter"
            )

    def __len__(self) -> int:
        return len(self.ranks)

    def parameters(self, costs: Sequence[int]) -> int:
        """Count trainable parameters; ``costs[i]`` is layer ``i``'s parameters per rank."""
        if len(costs) != len(self.ranks):
            raise ValueError(f"{len(costs)} costs for {len(self.ranks)} ranks")
        return sum(map(mul, self.ranks, costs))
