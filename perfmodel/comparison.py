"""Paired comparison of two vectors: Student's t interval of the mean difference."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from rankspace import Comparison
from rankspace.verdict import Answer


def compare(differences: Sequence[float], confidence: float = 0.95) -> Comparison:
    """Judge paired differences, one per seed, of a vector's score minus its rival's.

    Args:
        differences: At least two, in score units.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: Fewer than two pairs have no spread.

    Source: Student (1908). Differences that are all alike give an interval of no width.
    """
    count = len(differences)
    if count < 2:
        raise ValueError(f"{count} paired difference(s); an interval needs at least 2")
    values = np.asarray(differences, dtype=np.float64)
    gain = float(values.mean())
    error = float(values.std(ddof=1)) / count**0.5
    reach = float(special.stdtrit(count - 1, 0.5 + confidence / 2.0)) * error
    low, high = gain - reach, gain + reach
    return Comparison(gain, low, high, count, answer(low, high))


def answer(low: float, high: float) -> Answer:
    """Say where zero lies relative to the interval."""
    if low > 0.0:
        return Answer.BETTER
    return Answer.WORSE if high < 0.0 else Answer.NO_DIFFERENCE_SHOWN
