"""Text sampling: how far a gain hangs on the held-out texts that happened to be held out.

All seeds score the same texts, so the spread over seeds says nothing of it. With the losses by text
the gain is a mean over two crossed samples, seeds and texts, and the variance of both counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from rankspace.observation import TextLosses

LEAST_TOLD = 2
"""Pairs that must tell their losses by text: one alone does not tell texts from seeds."""


@dataclass(frozen=True, slots=True)
class TextSampling:
    """What texts add to the variance of a mean gain.

    Attributes:
        variance: Of the mean over the seeds, in squared score units, by sampling texts alone.
        count: Groups of texts.
        freedom: Degrees of freedom of the variance: those of as many equal groups as weigh the
            same, ``1 / sum(w**2)``, less 1, at least 1. Few large groups among many small ones
            know less of it.
        pairs: Seeds on which both told their losses.
    """

    variance: float
    count: int
    freedom: float
    pairs: int


def text_sampling(
    losses: Sequence[TextLosses | None], rivals: Sequence[TextLosses | None]
) -> TextSampling | None:
    """Compare two vectors text by text, on the same seeds.

    Args:
        losses: Of the vector, one per seed; None where it did not tell them.
        rivals: Of its rival, likewise.

    Returns:
        What those pairs say where both told; it is the variance of the mean over all seeds, as all
        score the same texts. None where fewer than two pairs told, or they told of other texts.

    Source: two-way random effects by their mean squares (Searle, Casella & McCulloch 1992, 4.3),
    for a ratio of sums, linearised (Cochran 1977, section 6.3): the variance of the texts' means
    over the seeds, less what seeds and texts do together, which the spread over seeds has in it.
    """
    both = zip(losses, rivals, strict=True)
    told = [(a, b) for a, b in both if a is not None and b is not None]
    tokens = {one.tokens for pair in told for one in pair}
    if len(told) < LEAST_TOLD or len(tokens) != 1:
        return None
    weights = np.array(tokens.pop(), dtype=np.float64)
    weights /= weights.sum()
    gains = np.array([_gains(a, b) for a, b in told])
    apart = gains - weights * gains.sum(axis=1, keepdims=True)
    mean = apart.mean(axis=0)
    seeds, texts = apart.shape
    scale = _scale(weights)
    between = scale * float(mean @ mean)
    together = scale * float(((apart - mean) ** 2).sum()) / (seeds * (seeds - 1))
    freedom = max(1.0 / float(weights @ weights) - 1.0, 1.0)
    return TextSampling(max(between - together, 0.0), texts, freedom, seeds)


def _scale(weights: Floats) -> float:
    """What squares about the weighted mean fall short by: ``n / (n - 1)`` for ``n`` equal groups.

    Of groups that differ in size, for losses per token of equal variance.
    """
    squares = weights**2
    whole = float(squares.sum())
    left = float((squares * ((1.0 - weights) ** 2 + np.maximum(whole - squares, 0.0))).sum())
    return whole / max(left, np.finfo(np.float64).tiny)


def _gains(one: TextLosses, rival: TextLosses) -> Floats:
    """What each group adds to the gain, ``(texts,)``."""
    difference = np.array(rival.losses) - np.array(one.losses)
    return np.asarray(difference / float(sum(one.tokens)))
