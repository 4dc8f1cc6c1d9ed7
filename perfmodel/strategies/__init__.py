"""Every way of proposing, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from perfmodel.strategies.additive import Additive
from perfmodel.strategies.blending.blend import Blend
from perfmodel.strategies.gp import Gp
from perfmodel.strategies.layer_weights import by_depth, by_importance, by_reconstruction_error
from perfmodel.strategies.one_shot import OneShot
from perfmodel.strategies.random import Random
from perfmodel.strategies.rankadaptor import RankAdaptor
from perfmodel.strategies.requirements import check_requirements
from perfmodel.strategies.samplers.cmaes import Cmaes
from perfmodel.strategies.samplers.optuna_samplers import GpOptuna, Tpe
from perfmodel.strategies.strategy import Strategy
from perfmodel.strategies.swap import Swap
from perfmodel.strategies.uniform import Uniform
from perfmodel.strategies.xgboost import Xgboost
from rankspace.study import StrategyName

__all__ = ["STRATEGIES", "Strategy", "check_requirements"]

STRATEGIES: Mapping[StrategyName, Strategy] = MappingProxyType(
    {
        StrategyName.ADDITIVE: Additive(),
        StrategyName.BLEND: Blend(),
        StrategyName.RANKADAPTOR: RankAdaptor(),
        StrategyName.XGBOOST: Xgboost(),
        StrategyName.GP: Gp(),
        StrategyName.TPE: Tpe(),
        StrategyName.CMAES: Cmaes(),
        StrategyName.GP_OPTUNA: GpOptuna(),
        StrategyName.SWAP: Swap(),
        StrategyName.RANDOM: Random(),
        StrategyName.UNIFORM: Uniform(),
        StrategyName.RECONSTRUCTION_ERROR: OneShot(
            "LoSA (ICLR 2025, arXiv 2502.14816): rank in proportion to the reconstruction error",
            "reconstruction-error",
            by_reconstruction_error,
        ),
        StrategyName.LINEAR_DEPTH: OneShot(
            "PRILoRA (EACL 2024, arXiv 2401.11316): rank grows linearly with depth",
            "linear-depth",
            by_depth,
        ),
        StrategyName.IMPORTANCE: OneShot(
            "after CFSP (COLING 2025, arXiv 2409.13199): rank by block importance",
            "importance",
            by_importance,
        ),
    }
)
"""One line per strategy; the contract test runs on each of them by itself. None of them imports
scikit-learn, xgboost, optuna or cmaes before it is first used."""
