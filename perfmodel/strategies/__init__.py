"""Every way of proposing, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from perfmodel.strategies.additive import Additive
from perfmodel.strategies.random import Random
from perfmodel.strategies.strategy import Strategy
from perfmodel.strategies.swap import Swap
from perfmodel.strategies.uniform import Uniform
from rankspace.study import StrategyName

STRATEGIES: Mapping[StrategyName, Strategy] = MappingProxyType(
    {
        StrategyName.ADDITIVE: Additive(),
        StrategyName.SWAP: Swap(),
        StrategyName.RANDOM: Random(),
        StrategyName.UNIFORM: Uniform(),
    }
)
"""One line per strategy; the contract test runs on each of them by itself."""
