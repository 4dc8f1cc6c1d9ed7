"""Prices of ranks that are no whole numbers, of the layers that are free to have one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import SearchSpace

HALVINGS = 100
"""Of an interval; ends at the precision of a float."""


@dataclass(frozen=True)
class FreePrices:
    """``SearchSpace.price`` as a function of real ranks, summed over the free layers.

    Attributes:
        costs: Parameters per rank of the free layers, ``(d,)``.
        owners: Place among them of each matrix that may be full, ``(m,)``.
        parts: Parameters per rank of these matrices, ``(m,)``.
        full: The rank from which on each of them takes no more, ``(m,)``.
    """

    costs: Floats
    owners: Integers
    parts: Floats
    full: Floats

    @classmethod
    def of(cls, space: SearchSpace) -> "FreePrices":
        free = space.free_layers
        found = [
            (at, part.parameters_per_rank, part.largest)
            for at, index in enumerate(free)
            for part in space.parts.get(space.layers[index].name, ())
        ]
        table = np.array(found, dtype=np.float64).reshape(-1, 3)
        costs = np.array(space.costs, dtype=np.float64)[free]
        return cls(costs, table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def total(self, ranks: Floats) -> float:
        """Of ``ranks``, ``(d,)``."""
        unused = self.parts @ np.maximum(ranks[self.owners] - self.full, 0.0)
        return float(self.costs @ ranks - unused)


def largest(fits: Callable[[float], bool], most: float) -> float:
    """The largest number from 0 to ``most`` that ``fits``, which holds below it and not above."""
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
