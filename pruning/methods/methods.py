"""All ways to prune, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from pruning.methods.controls import Magnitude, Random
from pruning.methods.depth import Depth, LossWithoutBlock, TaylorOfBlocks
from pruning.methods.flap import Flap
from pruning.methods.lorap.method import Lorap
from pruning.methods.loraprune.method import LoraPrune
from pruning.methods.method import Method, Scored
from pruning.methods.settings import PrunerName
from pruning.methods.taylor import Taylor
from pruning.methods.wanda import WandaStructured

METHODS: Mapping[PrunerName, Method] = MappingProxyType(
    {
        PrunerName.TAYLOR: Scored(Taylor()),
        PrunerName.TAYLOR_MIX: Scored(Taylor(fisher=True)),
        PrunerName.TAYLOR_VECTOR: Scored(Taylor(vector=True)),
        PrunerName.MAGNITUDE: Scored(Magnitude()),
        PrunerName.RANDOM: Scored(Random()),
        PrunerName.WANDA_STRUCTURED: WandaStructured(),
        PrunerName.FLAP: Flap(),
        PrunerName.LORAP: Lorap(),
        PrunerName.LORAP_PLAIN: Lorap(weighted=False),
        PrunerName.LORAPRUNE: LoraPrune(),
        PrunerName.DEPTH_TAYLOR: Depth(TaylorOfBlocks()),
        PrunerName.DEPTH_PERPLEXITY: Depth(LossWithoutBlock()),
    }
)
