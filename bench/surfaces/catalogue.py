"""Which surfaces are recorded."""

from dataclasses import dataclass

from pruning.methods.settings import PrunerName, PruningSettings
from rankadaptor.demo.base_model import Size
from rankspace.study import Granularity

MODULE_RANKS = (0, 1, 2, 4, 8)
BLOCK_RANKS = (0, 1, 2, 3, 4, 6, 8)

STORIES = "stories260k"
"""The base model somebody else really pretrained; the others are trained on the spot."""

TRAINED = {
    "stdlib": Size(),
    "stdlib-wide": Size(hidden=96, ffn=256, blocks=4),
    "stdlib-deep": Size(hidden=48, ffn=128, blocks=8, heads=6, kv_heads=3),
    "stdlib-unshared": Size(ffn=192, blocks=5, heads=4, steps=900, seed=1),  # a key per query head
    "stdlib-long": Size(hidden=80, ffn=160, blocks=5, heads=10, kv_heads=2, steps=1200, seed=2),
}
"""Base models trained in the demo's way on the standard library's source."""


@dataclass(frozen=True)
class Surface:
    """One model, one way of pruning it, one recipe.

    Attributes:
        name: Of its file.
        base: ``STORIES``, or a key of ``TRAINED``.
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
    Surface("stories-half-1to3", STORIES, PruningSettings((1, 2, 3), 0.5)),
    Surface("stories-quarter-all", STORIES, PruningSettings((0, 1, 2, 3, 4), 0.25)),
    Surface(
        "stories-global-0to3",
        STORIES,
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
        STORIES,
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
    Surface("wide-half-1to2", "stdlib-wide", PruningSettings((1, 2), 0.6)),
    Surface("deep-hard-2to5", "stdlib-deep", PruningSettings((2, 3, 4, 5), 0.7)),
    Surface("unshared-half-early", "stdlib-unshared", PruningSettings((0, 1, 2), 0.5), rate=5e-3),
    Surface("stories-ends", STORIES, PruningSettings((0, 4), 0.6)),
    Surface("long-hard-late", "stdlib-long", PruningSettings((2, 3, 4), 0.7), steps=60),
    Surface("stdlib-light-all", "stdlib", PruningSettings((0, 1, 2, 3, 4, 5), 0.3), rate=5e-3),
    Surface("wide-hard-ends", "stdlib-wide", PruningSettings((0, 3), 0.8), budget="uniform:2"),
)
