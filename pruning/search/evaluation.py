"""Evaluation: one vector of rates and what it costs. Search: whoever proposes the next."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pruning.rates.rates import Rates
from pruning.search.space import RateSpace, Vector


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rates that were scored.

    Attributes:
        rates: By block, rising; their mean by size is the ratio.
        loss: Mean next-token loss in nats on the windows that are searched on; infinite where the
            pruned model gives no finite one.
    """

    rates: Rates
    loss: float

    @property
    def vector(self) -> tuple[float, ...]:
        return tuple(self.rates.values())


Proposals: TypeAlias = Generator[Vector, Evaluation, None]
"""Yields vectors of any mean; is sent what the settled rates of each came to, which may have been
known before. It ends when it has no more to propose, or is closed when evaluations run out."""


class Search(Protocol):
    """Proposes vectors; the same answers in the same order lead to the same proposals."""

    def __call__(self, space: RateSpace, uniform: Evaluation, evaluations: int) -> Proposals:
        """Begin to search.

        Args:
            space: What may be proposed.
            uniform: Equal rates, which were scored already.
            evaluations: How many are left to spend.
        """
        ...
