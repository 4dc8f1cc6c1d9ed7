"""Landscapes: the noiseless score of every rank vector, by the levels of its ranks."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from perfmodel.arrays import Floats, Integers


class Landscape(Protocol):
    """A truth. A level is the index of a layer's rank in the ranks of the space."""

    @property
    def tables(self) -> Floats | None:
        """``(layers, R)`` utilities whose sum orders all vectors as the score does, if any do."""

    def scores(self, levels: Integers) -> Floats:
        """Score of each row of ``levels``, ``(n, layers)`` to ``(n,)``."""


@dataclass(frozen=True)
class Separable:
    """The sum of what each layer is worth.

    Attributes:
        tables: Worth of each rank on each layer, ``(layers, R)``.
    """

    tables: Floats

    def scores(self, levels: Integers) -> Floats:
        found: Floats = _at(self.tables, levels).sum(axis=1)
        return found


@dataclass(frozen=True)
class Interacting:
    """Separable, plus products of pairs of layers: synergies and substitutes.

    Attributes:
        worth: ``(layers, R)``.
        unit: Each layer's worth as a share of its largest, ``(layers, R)``.
        left: One layer of each pair, ``(pairs,)``.
        right: The other, ``(pairs,)``.
        strength: Factor of the product of the pair's shares, ``(pairs,)``, of either sign.
    """

    worth: Floats
    unit: Floats
    left: Integers
    right: Integers
    strength: Floats

    @property
    def tables(self) -> None:
        return None

    def scores(self, levels: Integers) -> Floats:
        shares = _at(self.unit, levels)
        pairs: Floats = (shares[:, self.left] * shares[:, self.right]) @ self.strength
        return Separable(self.worth).scores(levels) + pairs


@dataclass(frozen=True)
class Bottleneck:
    """Minus the p-norm of what each layer still lacks: the worst layer dominates.

    Attributes:
        lack: Damage left at each rank, ``(layers, R)``, not negative.
        power: p; at 1 the layers add up, at infinity only the worst counts.
    """

    lack: Floats
    power: float

    @property
    def tables(self) -> Floats:
        found: Floats = -(self.lack**self.power)
        return found

    def scores(self, levels: Integers) -> Floats:
        found: Floats = -((-Separable(self.tables).scores(levels)) ** (1.0 / self.power))
        return found


@dataclass(frozen=True)
class LogSumExp:
    """Minus ``T log sum exp(lack / T)``: near T = 0 only the worst layer counts.

    Attributes:
        lack: Damage left at each rank, ``(layers, R)``.
        temperature: T, in units of the damage, positive.
    """

    lack: Floats
    temperature: float

    @property
    def tables(self) -> Floats:
        found: Floats = -np.exp(self.lack / self.temperature)
        return found

    def scores(self, levels: Integers) -> Floats:
        found: Floats = -self.temperature * np.log(-Separable(self.tables).scores(levels))
        return found


def _at(tables: Floats, levels: Integers) -> Floats:
    found: Floats = tables[np.arange(len(tables)), levels]
    return found
