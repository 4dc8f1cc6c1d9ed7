"""All ways to prune, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from pruning.controls import magnitude, random
from pruning.importance import Pruner
from pruning.settings import PrunerName
from pruning.taylor import taylor_first, taylor_mix, taylor_vector

PRUNERS: Mapping[PrunerName, Pruner] = MappingProxyType(
    {
        PrunerName.TAYLOR: taylor_first,
        PrunerName.TAYLOR_MIX: taylor_mix,
        PrunerName.TAYLOR_VECTOR: taylor_vector,
        PrunerName.MAGNITUDE: magnitude,
        PrunerName.RANDOM: random,
    }
)
