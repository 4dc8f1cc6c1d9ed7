"""The basis of saturating curves every utility is a mixture of."""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import SearchSpace

SCALES = (0.4, 1.2, 3.6)
"""Ranks at which the curves have won 63 % of what they can, in units of the affordable mean rank:
one saturates well below it, one around it, one is nearly straight over the allowed ranks."""


@dataclass(frozen=True)
class Curves:
    """``phi_k(r) = (1 - exp(-r / tau_k)) / (1 - exp(-m / tau_k))``: 0 at rank 0, 1 at rank ``m``.

    Attributes:
        typical: ``m``, the mean rank the budget affords, at least 1.
        ranks: Allowed ranks, ``(R,)``.
    """

    typical: float
    ranks: Floats

    @classmethod
    def of(cls, space: SearchSpace) -> "Curves":
        affordable = space.max_parameters / sum(space.costs)
        typical = float(np.clip(affordable, 1.0, max(1, space.ranks[-1])))
        return cls(typical, np.array(space.ranks, dtype=np.float64))

    def __call__(self, ranks: Floats | Integers) -> Floats:
        """Map ranks of any shape ``(...)`` to ``(..., curves)``."""
        tau = self.typical * np.array(SCALES)
        raised = 1.0 - np.exp(-np.asarray(ranks, dtype=np.float64)[..., None] / tau)
        return np.asarray(raised / (1.0 - np.exp(-self.typical / tau)))

    @property
    def table(self) -> Floats:
        """The curves on the allowed ranks, ``(R, curves)``."""
        return self(self.ranks)


def concave(tables: Floats, ranks: Floats) -> Floats:
    """Project each row to the nearest non-decreasing concave table that starts where it does.

    The slopes are made non-increasing by weighted isotonic regression, in its closed form
    ``min over a <= j of max over b >= j of mean(a..b)``, and then non-negative.

    Args:
        tables: Utilities, ``(layers, R)``.
        ranks: Allowed ranks, strictly increasing, ``(R,)``.

    Source: Robertson, Wright & Dykstra (1988), theorem 1.4.4.
    """
    widths = np.diff(ranks)
    count = len(widths)
    if not count:
        return tables
    rise = tables[:, None, 1:] - tables[:, :-1, None]  # (layers, a, b): rise from a to b + 1
    run = ranks[None, 1:] - ranks[:-1, None]
    inside = np.tri(count, dtype=np.bool_).T  # a <= b
    means = np.where(inside, rise / np.where(inside, run, 1.0), -np.inf)
    best_from = np.maximum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]  # max over b >= j
    best_from = np.where(inside, best_from, np.inf)
    slopes = np.maximum(best_from.min(axis=1), 0.0)
    rises = np.concatenate([np.zeros((len(tables), 1)), np.cumsum(slopes * widths, axis=1)], axis=1)
    return np.asarray(tables[:, :1] + rises)
