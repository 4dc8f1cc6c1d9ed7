"""SEARCHES: every search that asks nobody, by its name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pruning.search.about import SearchName
from pruning.search.draws import Draws
from pruning.search.evaluation import Search
from pruning.search.evolution import Genetic
from pruning.search.progression import search_steps

SEARCHES: Mapping[SearchName, Callable[[int], Search]] = MappingProxyType(
    {
        SearchName.ATP: lambda _seed: search_steps,
        SearchName.RANDOM: Draws,
        SearchName.GENETIC: Genetic,
    }
)
"""From a seed; ``self-pruner`` needs somebody to ask besides (``SelfPruner``)."""
