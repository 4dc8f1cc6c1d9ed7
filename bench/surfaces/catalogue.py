"""Which surfaces are recorded."""

from dataclasses import dataclass

from pruning.settings import PrunerName, PruningSettings
from rankspace.study import Granularity

MODULE_RANKS = (0, 1, 2, 4, 8)
BLOCK_RANKS = (0, 1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Surface:
    """One model, one way of pruning it, one recipe.

    Attributes:
        name: Of its file.
        base: ``stories260k`` (really pretrained) or ``stdlib`` (the demo's).
        pruning: What was removed.
        granularity: One rank per matrix or per block.
        ranks: Allowed ranks.
        budget: Ceiling on the trainable parameters.
        steps: Optimiser steps of a trial.
        rate: Peak learning rate.
        vectors: Random vectors on the budget, beside uniform.
        unconstrained: Random vectors of any size.
        repeats: Further seeds of the first vectors.
    """

    name: str
    base: str
    pruning: PruningSettings
    granularity: Granularity = Granularity.MODULE
    ranks: tuple[int, ...] = MODULE_RANKS
    budget: str = "uniform:1"
    steps: int = 40
    rate: float = 1e-2
    vectors: int = 63
    unconstrained: int = 24
    repeats: int = 3


CATALOGUE = (
    Surface("stories-half-1to3", "stories260k", PruningSettings((1, 2, 3), 0.5)),
    Surface("stories-quarter-all", "stories260k", PruningSettings((0, 1, 2, 3, 4), 0.25)),
    Surface(
        "stories-global-0to3",
        "stories260k",
        PruningSettings((0, 1, 2, 3), 0.5, ranking="global"),
        budget="uniform:2",
    ),
    Surface("stdlib-hard-0to3", "stdlib", PruningSettings((0, 1, 2, 3), 0.8)),
    Surface("stdlib-half-late", "stdlib", PruningSettings((3, 4, 5), 0.6)),
    Surface(
        "stdlib-random-0to2",
        "stdlib",
        PruningSettings((0, 1, 2), 0.6, PrunerName.RANDOM),
        budget="uniform:2",
    ),
    Surface(
        "stories-half-1to3-block",
        "stories260k",
        PruningSettings((1, 2, 3), 0.5),
        granularity=Granularity.BLOCK,
        ranks=BLOCK_RANKS,
        budget="uniform:2",
        vectors=47,
        unconstrained=12,
    ),
    Surface(
        "stdlib-hard-0to3-block",
        "stdlib",
        PruningSettings((0, 1, 2, 3), 0.8),
        granularity=Granularity.BLOCK,
        ranks=BLOCK_RANKS,
        budget="uniform:2",
        vectors=47,
        unconstrained=12,
    ),
)
