"""Requirements: what a strategy must have before a study with it may start."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType

from perfmodel.strategies.layer_weights import by_importance, by_reconstruction_error
from rankspace import Context, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.study import StrategyName


def check_requirements(strategy: StrategyName, space: SearchSpace, context: Context) -> None:
    """Raise InvalidInput, naming the fix, unless ``strategy`` has all it needs where this runs."""
    check_profiles(strategy, space, context)
    if strategy is StrategyName.GP_OPTUNA:
        _check_torch()


def check_profiles(strategy: StrategyName, space: SearchSpace, context: Context) -> None:
    """Raise InvalidInput, naming the fix, unless the model has the profiles ``strategy`` needs."""
    if strategy in PROFILED:
        PROFILED[strategy](space, context)


def _check_torch() -> None:
    """Optuna's Gaussian process is written in it."""
    if find_spec("torch") is None:
        raise InvalidInput(
            "strategy",
            StrategyName.GP_OPTUNA.value,
            "needs torch, which is not installed",
            fix="pip install 'rankadaptor[gp-optuna]' where the service runs, or use strategy gp",
        )


PROFILED: Mapping[StrategyName, Callable[[SearchSpace, Context], object]] = MappingProxyType(
    {
        StrategyName.RECONSTRUCTION_ERROR: by_reconstruction_error,
        StrategyName.IMPORTANCE: by_importance,
    }
)
"""Each raises InvalidInput; a strategy that is not here needs no profiles."""
