"""Apprentice: a perceptron that is taught offline and goes on from the weights at hand.

Source: RankAdaptor (arXiv 2406.15734), "online incremental learning"; how much is learned at a
time is ours to decide, see docs/decisions/0007.
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.regressors.perceptron import Perceptron

EPOCHS = 20
"""Of one round, on the rows that are learned from."""

RATE = 1e-2

ROWS = 256
"""The latest ones, which are learned from in a round; what came before is in the weights."""

EACH = 128
"""Rows up to which there is a round for each; then one whenever their number has grown by
1/``GROWTH``, so that 100,000 rows are some hundred rounds."""

GROWTH = 64

REMEMBERED = 16
"""Latest rounds whose errors are kept."""

LIKE = 8.0
"""Ratio of two scales up to which they are of one kind: beyond it an outlier came or went, and the
weights are taken for standardised on the new scale."""


@dataclass(frozen=True)
class Unit:
    """The scale of standardised scores.

    Attributes:
        centre: The study's score that is 0.
        scale: How much of it is 1.
    """

    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Apprentice:
    """What the first ``count`` rows have made of the weights it came with.

    Attributes:
        network: Answers in ``unit``.
        unit: Of the rows it learned last.
        count: Rows it has learned.
        errors: Of the latest rounds, root mean square error of the predictions of the rows that
            were new in it, made before any of them was learned, in standard deviations of the
            scores; the latest one last.
    """

    network: Perceptron
    unit: Unit = Unit()
    count: int = 0
    errors: tuple[float, ...] = ()

    def taught(self, features: Floats, scores: Floats, unit: Unit, fresh: int) -> "Apprentice":
        """Go on learning when there are more rows.

        Args:
            features: The latest rows, ``(n, d)``: those that are new, and ``ROWS`` if there are.
            scores: Theirs in ``unit``, ``(n,)``.
            unit: Of the scores; that of before may be another.
            fresh: How many of the rows are new, the last ones.
        """
        at_hand = self.within(unit)
        missed = at_hand(features[-fresh:]) - scores[-fresh:]
        network = at_hand.trained(features[-ROWS:], scores[-ROWS:], epochs=EPOCHS, rate=RATE)
        errors = (*self.errors, float(np.sqrt(np.mean(np.square(missed)))))[-REMEMBERED:]
        return Apprentice(network, unit, self.count + fresh, errors)

    def within(self, unit: Unit) -> Perceptron:
        """The network with its answers in another unit, as far as both are of one kind."""
        ratio = self.unit.scale / unit.scale
        if not self.count or not 1.0 / LIKE <= ratio <= LIKE:
            return self.network
        shift = (self.unit.centre - unit.centre) / unit.scale
        return self.network.rescaled(ratio, float(np.clip(shift, -LIKE, LIKE)))

    def root_mean_square(self, latest: int) -> float | None:
        """Of the errors of the ``latest`` rounds, equally; None while there are fewer."""
        if len(self.errors) < latest:
            return None
        return float(np.sqrt(np.mean(np.square(self.errors[-latest:]))))


def rounds(first: int, count: int) -> list[int]:
    """Numbers of rows at which an apprentice learns, from ``first`` up to at most ``count``."""
    found, at = [], first
    while at <= count:
        found.append(at)
        at += 1 if at < EACH else at // GROWTH
    return found
