"""All ways to prune, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from pruning.methods.controls import magnitude, random
from pruning.methods.importance import Pruner
from pruning.methods.settings import PrunerName
from pruning.methods.taylor import Taylor

PRUNERS: Mapping[PrunerName, Pruner] = MappingProxyType(
    {
        PrunerName.TAYLOR: Taylor(),
        PrunerName.TAYLOR_MIX: Taylor(fisher=True),
        PrunerName.TAYLOR_VECTOR: Taylor(vector=True),
        PrunerName.MAGNITUDE: magnitude,
        PrunerName.RANDOM: random,
    }
)
