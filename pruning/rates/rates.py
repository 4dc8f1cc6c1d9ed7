"""Rates: what share of each block is cut."""

import math
from collections.abc import Mapping

from pruning.container.structure import BlockStructure, Structure
from rankspace.errors import InvalidInput

Rates = Mapping[int, float]
"""By block, rising: the share of its heads and of its channels to remove, 0 to 1."""

Sizes = Mapping[int, int]
"""By block: weights of its matrices, of which a rate takes its share whatever their kind."""

TOLERANCE = 1e-6
"""Of an overall ratio that somebody states beside the rates it follows from."""


def sizes_of(structure: Structure, hidden: int, blocks: tuple[int, ...]) -> dict[int, int]:
    """Count the weights of the matrices of each of ``blocks`` in a model of width ``hidden``."""
    return {index: matrix_weights(structure.blocks[index], hidden) for index in blocks}


def matrix_weights(block: BlockStructure, hidden: int) -> int:
    """Count the weights of the matrices of one block."""
    return sum(block.weights(kind, hidden) for kind in block.modules)


def overall(rates: Rates, sizes: Sizes) -> float:
    """Return the share of all blocks together that ``rates`` remove: the mean by size."""
    return math.fsum(rates[index] * sizes[index] for index in rates) / sum(
        sizes[index] for index in rates
    )


def are_equal(rates: Rates) -> bool:
    """Tell whether every block loses the same share."""
    return len(set(rates.values())) == 1


def within(rates: Mapping[int, float]) -> dict[int, float]:
    """Return ``rates`` without what rounding left of them outside 0 to 1.

    Raises:
        InvalidInput: One is outside by more than rounding.
    """
    for index, rate in rates.items():
        if not -TOLERANCE <= rate <= 1 + TOLERANCE:
            way = "larger" if rate < 0 else "smaller"
            raise InvalidInput(
                f"rates.{index}",
                round(rate, 6),
                "is no share of a block: it must lie between 0 and 1",
                fix=f"ask for a {way} ratio, or for rates that are closer to each other",
            )
    return {index: min(max(rate, 0.0), 1.0) for index, rate in sorted(rates.items())}
