"""Paired comparison of two vectors: Student's t interval of the mean difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from rankspace import Comparison
from rankspace.verdict import Answer

LEAST_PAIRS = 3
"""Pairs below which an interval claims nothing: two may agree by chance however they are spread."""


@dataclass(frozen=True)
class Pairs:
    """A vector's scores and its rival's, seed by seed; None where a trial failed."""

    scores: tuple[float | None, ...]
    rivals: tuple[float | None, ...]

    @property
    def complete(self) -> list[tuple[float, float]]:
        """Both scores, on the seeds where neither failed."""
        both = zip(self.scores, self.rivals, strict=True)
        return [(a, b) for a, b in both if a is not None and b is not None]

    @property
    def differences(self) -> list[float]:
        return [a - b for a, b in self.complete]

    @property
    def forfeits(self) -> tuple[int, int]:
        """Seeds on which only the vector failed, and on which only its rival did."""
        failed = [(a is None, b is None) for a, b in zip(self.scores, self.rivals, strict=True)]
        return failed.count((True, False)), failed.count((False, True))

    def compare(self, confidence: float = 0.95) -> Comparison | None:
        """Judge the complete pairs; None when fewer than two are.

        Who fails where the other does not is seen on its lucky seeds only, so the answer is then
        at most "no difference shown" in its favour.
        """
        if len(self.complete) < 2:
            return None
        found = compare(self.differences, confidence)
        winner_failed, rival_failed = self.forfeits
        withheld = (found.answer is Answer.BETTER and winner_failed) or (
            found.answer is Answer.WORSE and rival_failed
        )
        verdict = Answer.NO_DIFFERENCE_SHOWN if withheld else found.answer
        return replace(found, answer=verdict, failed=len(self.scores) - found.seeds)


def compare(differences: Sequence[float], confidence: float = 0.95) -> Comparison:
    """Judge paired differences, one per seed, of a vector's score minus its rival's.

    Args:
        differences: At least two, in score units; two give an interval that claims nothing.
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
    claim = answer(low, high) if count >= LEAST_PAIRS else Answer.NO_DIFFERENCE_SHOWN
    return Comparison(gain, low, high, count, claim)


def answer(low: float, high: float) -> Answer:
    """Say where zero lies relative to the interval."""
    if low > 0.0:
        return Answer.BETTER
    return Answer.WORSE if high < 0.0 else Answer.NO_DIFFERENCE_SHOWN
