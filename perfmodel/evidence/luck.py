"""Luck: what the best of many random vectors is worth, and how far that hangs on the draw.

A winner that leads the best random vector has beaten that one. Whether the *search* beats drawing
at random is another question: the best of another draw of as many vectors may be better, and where
vectors differ much, two such draws differ much. So a gain over random vectors only counts beyond
what two draws may differ by.

What they may is reckoned as of normal scores: then two draws at random differ by more in one of
twenty. No rule knows it of others from one draw: where one vector in 25 is far better than the
rest, a fifth of all draws of forty hold none, and show nothing of it. So "better" is one vector
against another one, with an allowance, and no promise of the search; `bench.verifications` measures
what the allowance is worth for tails that are longer (`spread exponential`, `t3`, `few`).
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import special

from perfmodel.arrays import Floats
from rankspace.study import MOST_NATS

SURE = 0.95
"""Share of pairs of normal draws whose best differ by less, in the direction that counts."""


def luck(scores: Sequence[float]) -> float:
    """By how much the best of one draw may lead the best of another, in score units.

    Taken as normal. Which vector of a draw scores best hangs on noise too, and nobody knows how
    much of the spread is noise: the share is taken that makes the best vary most.

    Args:
        scores: Of all vectors of a draw, on one seed. A single one tells nothing: no lead is then
            beyond luck.
    """
    count = len(scores)
    if count < 2:
        return MOST_NATS
    spread = float(np.std(np.asarray(scores, dtype=np.float64), ddof=1))
    quantile = float(special.stdtrit(count - 1, SURE))
    return min(quantile * math.sqrt(2.0 * _variance_of_best(count)) * spread, MOST_NATS)


def _variance_of_best(count: int) -> float:
    """Most that the true score of the best-looking of ``count`` varies, in squared spreads.

    With a share ``p`` of the variance being true, that is ``p^2 v + p (1 - p)``, where ``v`` is the
    variance of the largest of ``count`` standard normals.
    """
    largest = variance_of_largest(count)
    share = min(1.0, 0.5 / (1.0 - largest)) if largest < 1.0 else 1.0
    return share**2 * largest + share * (1.0 - share)


@cache
def variance_of_largest(count: int) -> float:
    """Variance of the largest of ``count`` independent standard normals, by summation."""
    at: Floats = np.linspace(-10.0, 10.0, 4001)
    density = count * np.exp(-0.5 * at**2) * special.ndtr(at) ** (count - 1)
    density /= density.sum()
    mean = float(density @ at)
    return float(density @ (at - mean) ** 2)
