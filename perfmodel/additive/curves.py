"""The basis of saturating curves every utility is a mixture of."""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import SearchSpace
from rankspace.cached import cached_property

SCALES = (0.4, 1.2, 3.6)
"""Ranks at which the curves have won 63 % of what they can, in units of the affordable mean rank:
one saturates well below it, one around it, one is nearly straight over the allowed ranks."""

WEIGHTS = (0.435, 0.435, 0.13)
"""Share of a layer's amplitude each curve is expected to have: most utilities saturate."""


@dataclass(frozen=True)
class Curves:
    """``phi(r) = (g(r) - g(r_0)) / (g(m) - g(r_0))`` with ``g(r) = 1 - exp(-r / tau)``.

    So every curve is 0 at the lowest allowed rank ``r_0`` and 1 at the mean rank ``m`` the budget
    affords, or at the next higher allowed rank where the budget affords no more than ``r_0``.

    Attributes:
        typical: ``m``, at least 1.
        ranks: Allowed ranks, ``(R,)``.
    """

    typical: float
    ranks: Floats

    @classmethod
    def of(cls, space: SearchSpace) -> "Curves":
        affordable = space.max_parameters / sum(space.costs)
        above = space.ranks[1] if len(space.ranks) > 1 else space.ranks[0] + 1
        typical = float(np.clip(affordable, max(1, above), max(1, above, space.ranks[-1])))
        return cls(typical, np.array(space.ranks, dtype=np.float64))

    def __call__(self, ranks: Floats | Integers) -> Floats:
        """Map ranks of any shape ``(...)`` to ``(..., curves)``."""
        low, high = self._raised(self.ranks[:1]), self._raised(np.array([self.typical]))
        raised = self._raised(np.asarray(ranks, dtype=np.float64))
        return np.asarray((raised - low[0]) / (high[0] - low[0]))

    def _raised(self, ranks: Floats) -> Floats:
        tau = self.typical * np.array(SCALES)
        return np.asarray(1.0 - np.exp(-ranks[..., None] / tau))

    @cached_property
    def table(self) -> Floats:
        """The curves on the allowed ranks, ``(R, curves)``."""
        return self(self.ranks)
