"""Memory: what a pruning run takes, said before it starts."""

from dataclasses import dataclass

import torch

from pruning.container.container import stored_dtype
from pruning.container.contents import Contents
from pruning.container.description import outline_of
from pruning.methods.dimensions import Dimensions
from pruning.methods.methods import METHODS
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from pruning.rates.rules import AlphaPruning, Cfsp, RateRule, Rmi


@dataclass(frozen=True, slots=True)
class Memory:
    """About how many bytes a run takes.

    Attributes:
        weights: Of the model.
        beside: What method and rates take besides to look at them.
    """

    weights: int
    beside: int


def memory_of(
    contents: Contents,
    settings: PruningSettings,
    calibration: CalibrationText,
    dtype: torch.dtype | None,
) -> Memory:
    """Return what pruning a model that was surveyed takes; ``dtype`` as for ``compress``."""
    size = (dtype or stored_dtype(contents)).itemsize
    architecture = contents.architecture
    dimensions = Dimensions(
        contents.structure,
        architecture.hidden,
        architecture.vocabulary,
        size,
        settings.blocks,
        calibration.samples,
        calibration.length,
        settings.training.rank,
    )
    weights = outline_of(contents).parameters * size
    method = METHODS[settings.method].memory(dimensions)
    return Memory(weights, max(method, _of_rule(settings.rates, dimensions)))


def _of_rule(rule: RateRule, dimensions: Dimensions) -> int:
    """What it takes to share the ratio out, before the method begins."""
    if isinstance(rule, AlphaPruning):  # a matrix in float64, and its Gram matrix
        return 16 * dimensions.largest_matrix
    if isinstance(rule, Rmi | Cfsp):
        return dimensions.hidden_bytes + dimensions.block_bytes
    return 0
