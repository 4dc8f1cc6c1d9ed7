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


@dataclass(frozen=True, slots=True)
class Memory:
    """About how many bytes a run takes.

    Attributes:
        weights: Of the model.
        beside: What the method takes besides to look at them.
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
    )
    weights = outline_of(contents).parameters * size
    return Memory(weights, METHODS[settings.method].memory(dimensions))
