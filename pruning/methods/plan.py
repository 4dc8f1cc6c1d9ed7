"""Plan: what a method is to remove, nothing left open."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pruning.rates.rates import Rates, are_equal
from rankspace.errors import InvalidInput

Ranking: TypeAlias = Literal["local", "global"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rates by block, and how structures compete.

    Attributes:
        rates: Share of heads and of channels to remove from each block, rising by block.
        ranking: ``local``: each block loses its own share; ``global``: the blocks compete for what
            stays, so that their rates have to be equal.
        seed: Of the method ``random``.
    """

    rates: Rates
    ranking: Ranking = "local"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ranking == "global" and not are_equal(self.rates):
            problem = "lets the blocks compete, so that none has a rate of its own"
            raise InvalidInput("ranking", self.ranking, problem, fix="use local, or uniform rates")

    @property
    def blocks(self) -> tuple[int, ...]:
        """Those to prune, rising."""
        return tuple(self.rates)

    @property
    def ratio(self) -> float:
        """The share that every block loses, where it is the same."""
        return next(iter(self.rates.values()))
