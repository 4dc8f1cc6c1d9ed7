"""Hierarchy: which layers share a kind of matrix, and which share a block."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Integers
from rankspace import SearchSpace


@dataclass(frozen=True)
class Hierarchy:
    """Groups of the free layers along both axes; any other layer's contribution is a constant.

    Attributes:
        free: Indices of the free layers, ``(free,)``.
        axes: For every axis that tells anything, the group of each free layer, ``(free,)``.
    """

    free: Integers
    axes: tuple[Integers, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Hierarchy":
        layers = [space.layers[i] for i in space.free_layers]
        kinds = _number([layer.module for layer in layers])
        blocks = _number([layer.block for layer in layers])
        axes = tuple(axis for axis in (kinds, blocks) if _pools(axis))
        if len(axes) == 2 and np.array_equal(kinds, blocks):
            axes = axes[:1]
        return cls(np.array(space.free_layers, dtype=np.int64), axes)


def _number(keys: Sequence[Hashable]) -> Integers:
    """Number the keys in the order they appear; each layer without a key is a group of its own."""
    known: dict[Hashable, int] = {}
    named = [(at,) if key is None else key for at, key in enumerate(keys)]
    return np.array([known.setdefault(key, len(known)) for key in named], dtype=np.int64)


def _pools(axis: Integers) -> bool:
    """Whether the axis has more than one group and fewer groups than layers."""
    groups = len(np.unique(axis))
    return 1 < groups < len(axis)
