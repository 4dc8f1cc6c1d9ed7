"""Which layers share what: all of them, those of a kind, those of a block, each alone."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import SearchSpace


class Level(IntEnum):
    """Levels of the hierarchy; a layer's utility is the sum of one curve from each."""

    COMMON = 0
    KIND = 1
    BLOCK = 2
    OWN = 3


@dataclass(frozen=True)
class Hierarchy:
    """The free layers' group at every level.

    Attributes:
        groups: Per level, the group of each layer or -1 for none, ``(layers,)``; fixed layers
            are in no group, as their contribution is a constant.
        sizes: Number of groups per level.
    """

    groups: tuple[Integers, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Hierarchy":
        free = [layer.name not in space.fixed for layer in space.layers]
        keys: tuple[list[Hashable], ...] = (
            [0 for _ in space.layers],
            [layer.module for layer in space.layers],
            [layer.block for layer in space.layers],
            [layer.name for layer in space.layers],
        )
        numbered = [_number(key, free) for key in keys]
        numbered = [_drop_copies(numbered, level) for level in Level]
        groups = tuple(np.array(row, dtype=np.int64) for row in numbered)
        return cls(groups, tuple(int(row.max(initial=-1)) + 1 for row in groups))

    def gather(self, level: Level, features: Floats) -> Floats:
        """Sum layer features ``(n, layers, k)`` over each group: ``(n, groups, k)``."""
        order, starts = self._members[level]
        if not len(starts):
            return np.zeros((features.shape[0], 0, features.shape[2]))
        return np.asarray(np.add.reduceat(features[:, order], starts, axis=1))

    def spread(self, level: Level, effects: Floats) -> Floats:
        """Give each layer its group's effect: ``(groups, k)`` to ``(layers, k)``."""
        group = self.groups[level]
        spread = np.zeros((len(group), effects.shape[1]))
        spread[group >= 0] = effects[group[group >= 0]]
        return spread

    @cached_property
    def _members(self) -> tuple[tuple[Integers, Integers], ...]:
        """Per level, the layers ordered by group, and where each group begins among them."""
        found = []
        for group, size in zip(self.groups, self.sizes, strict=True):
            order = np.argsort(group, kind="stable")[np.count_nonzero(group < 0) :]
            found.append((order, np.searchsorted(group[order], np.arange(size))))
        return tuple(found)


def _number(keys: Sequence[Hashable], free: Sequence[bool]) -> list[int]:
    known: dict[Hashable, int] = {}
    return [
        known.setdefault(key, len(known)) if is_free and key is not None else -1
        for key, is_free in zip(keys, free, strict=True)
    ]


def _drop_copies(numbered: Sequence[list[int]], level: Level) -> list[int]:
    """A kind or block level that says the same as another level would only be counted twice."""
    if level not in (Level.KIND, Level.BLOCK):
        return numbered[level]
    others = [numbered[other] for other in Level if other > level or other == Level.COMMON]
    grouped = numbered[level]
    return [-1] * len(grouped) if grouped in others else grouped
