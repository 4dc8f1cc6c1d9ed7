"""Caution: no answer leads that uniform's own trials say is worse than uniform.

Uniform is the first trial of every search. Where its trials scored above what the model says of it,
the model is known to be wrong there, and by how much: an answer has to be predicted better by that
and a standard deviation more, or the answer is uniform itself.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from perfmodel.additive.levelled import Levelled
from perfmodel.additive.posterior import Posterior
from perfmodel.arrays import Floats
from rankspace import Observation, RankVector

CAUTION = 1.0
"""Standard deviations of the gain over uniform by which it must exceed what is lacking."""

BLOCK = 256
"""Vectors whose gains are computed at once: of very many, the first ones nearly always decide."""

Gains: TypeAlias = Callable[[Sequence[RankVector]], tuple[Floats, Floats]]
"""Mean and standard deviation, ``(n,)`` each, of what vectors score above uniform."""


def cautious(
    ahead: Sequence[RankVector], uniform: RankVector, gains: Gains, lacking: float
) -> tuple[RankVector, ...]:
    """Put the first vector that is safe, or else uniform, before the others.

    Args:
        ahead: At least one vector, best predicted first.
        uniform: The baseline.
        gains: As predicted.
        lacking: What uniform is known to score above its prediction; where that is nothing, the
            order stays.
    """
    if not lacking > 0.0:
        return tuple(ahead)
    leader = _first_safe(ahead, gains, lacking) or uniform
    return tuple(dict.fromkeys((leader, *ahead)))


def _first_safe(ahead: Sequence[RankVector], gains: Gains, lacking: float) -> RankVector | None:
    """Look block by block, until one has no vector whose mean gains enough: none behind has."""
    for begin in range(0, len(ahead), BLOCK):
        block = ahead[begin : begin + BLOCK]
        mean, std = gains(block)
        safe = np.flatnonzero(mean - CAUTION * std >= lacking)
        if len(safe):
            return block[int(safe[0])]
        if not (mean >= lacking).any():
            return None
    return None


def lacking(
    posterior: Posterior, seen: Sequence[Observation], uniform: RankVector, predicted: float
) -> float:
    """By how much the trials of ``uniform`` among ``seen`` scored above ``predicted``.

    Less than nothing where they scored below, as diverged ones do; 0 where none can be told.
    """
    own = [one for one in seen if one.rank_vector == uniform]
    known = Levelled.of(posterior, own).score_of(uniform) if own else None
    return 0.0 if known is None else known - predicted
