"""Which surfaces are recorded."""

from dataclasses import dataclass

from bench.surfaces.corpora import CorpusName
from pruning.methods.settings import PrunerName, PruningSettings
from rankadaptor.demo.base_model import Size
from rankspace.study import Granularity

MODULE_RANKS = (0, 1, 2, 4, 8)
BLOCK_RANKS = (0, 1, 2, 3, 4, 6, 8)

STORIES = "stories260k"
"""The base model somebody else really pretrained; the others are trained on the spot."""


@dataclass(frozen=True)
class Base:
    """A base model that is trained in the demo's way.

    Attributes:
        size: Shape and training.
        corpus: What it is trained on, and its pruned models are recovered on.
    """

    size: Size
    corpus: CorpusName = CorpusName.STDLIB


TRAINED = {
    "stdlib": Base(Size()),
    "stdlib-wide": Base(Size(hidden=96, ffn=256, blocks=4)),
    "stdlib-deep": Base(Size(hidden=48, ffn=128, blocks=8, heads=6, kv_heads=3)),
    "stdlib-unshared": Base(  # a key per query head
        Size(ffn=192, blocks=5, heads=4, steps=900, seed=1)
    ),
    "stdlib-long": Base(
        Size(hidden=80, ffn=160, blocks=5, heads=10, kv_heads=2, steps=1200, seed=2)
    ),
    "wikitext-grouped": Base(  # four query heads share a key
        Size(ffn=192, blocks=7, kv_heads=2, steps=900, seed=3), CorpusName.WIKITEXT
    ),
    "wikitext-narrow": Base(
        Size(hidden=48, ffn=144, blocks=9, heads=6, kv_heads=2, steps=900, seed=4),
        CorpusName.WIKITEXT,
    ),
    "ptb-broad": Base(  # a key per query head
        Size(hidden=112, ffn=256, blocks=4, heads=7, kv_heads=7, seed=5), CorpusName.PTB
    ),
    "roleplay": Base(
        Size(vocabulary=1024, hidden=80, ffn=200, blocks=6, heads=10, kv_heads=5, seed=6),
        CorpusName.ROLEPLAY,
    ),
}


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
        length: Tokens of an example, at most.
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
    length: int = 64


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
    Surface("wikitext-half-middle", "wikitext-grouped", PruningSettings((2, 3, 4), 0.5)),
    Surface(
        "roleplay-half-late", "roleplay", PruningSettings((3, 4, 5), 0.5), rate=5e-3, length=128
    ),
    Surface("ptb-hard-early-long", "ptb-broad", PruningSettings((0, 1), 0.7), steps=200, rate=5e-3),
    Surface(
        "wikitext-random-most-long",
        "wikitext-narrow",
        PruningSettings((1, 2, 3, 4, 5), 0.5, PrunerName.RANDOM),
        budget="uniform:2",
        steps=200,
    ),
)
