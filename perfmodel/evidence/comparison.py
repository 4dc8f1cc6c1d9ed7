"""Paired comparison of two vectors: Student's t interval of the mean difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from perfmodel.evidence.text_sampling import TextSampling, text_sampling
from rankspace import Comparison
from rankspace.observation import TextLosses
from rankspace.verdict import LEAST_PAIRS, Answer

RELEVANT = 0.1
"""The least relevant gain, in standard deviations of one trial's noise, where nobody named one."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one trial scored; ``value`` is None where it failed, ``texts`` where nobody told."""

    value: float | None
    texts: TextLosses | None = None


MISSING = Score(None)


@dataclass(frozen=True)
class Pairs:
    """A vector's scores and its rival's, seed by seed."""

    scores: tuple[Score, ...]
    rivals: tuple[Score, ...]

    @property
    def complete(self) -> list[tuple[float, float]]:
        """Both scores, on the seeds where neither failed."""
        both = ((a.value, b.value) for a, b in self._complete)
        return [(a, b) for a, b in both if a is not None and b is not None]

    @property
    def differences(self) -> list[float]:
        return [a - b for a, b in self.complete]

    @property
    def failures(self) -> int:
        """Seeds on which the vector failed."""
        return sum(one.value is None for one in self.scores)

    @property
    def forfeits(self) -> tuple[int, int]:
        """Seeds on which only the vector failed, and on which only its rival did."""
        failed = [(a.value is None, b.value is None) for a, b in self._both]
        return failed.count((True, False)), failed.count((False, True))

    def compare(
        self, confidence: float = 0.95, least_gain: float | None = None
    ) -> Comparison | None:
        """Judge the complete pairs; None when fewer than two are.

        Who fails where the other does not is seen on its lucky seeds only, so the answer is then
        at most "no difference shown" in its favour.
        """
        if len(self.complete) < 2:
            return None
        texts = text_sampling(*zip(*((a.texts, b.texts) for a, b in self._complete), strict=True))
        found = compare(self.differences, confidence, least_gain=least_gain, texts=texts)
        winner_failed, rival_failed = self.forfeits
        withheld = (found.answer is Answer.BETTER and winner_failed) or (
            found.answer is Answer.WORSE and rival_failed
        )
        verdict = Answer.NO_DIFFERENCE_SHOWN if withheld else found.answer
        return replace(found, answer=verdict, failed=len(self.scores) - found.seeds)

    @property
    def _both(self) -> list[tuple[Score, Score]]:
        return [*zip(self.scores, self.rivals, strict=True)]

    @property
    def _complete(self) -> list[tuple[Score, Score]]:
        return [(a, b) for a, b in self._both if a.value is not None and b.value is not None]


def compare(
    differences: Sequence[float],
    confidence: float = 0.95,
    *,
    least_gain: float | None = None,
    texts: TextSampling | None = None,
) -> Comparison:
    """Judge paired differences, one per seed, of a vector's score minus its rival's.

    Args:
        differences: At least two, in score units; two give an interval that claims nothing.
        confidence: Coverage of the interval, in (0, 1).
        least_gain: What its lower end must exceed for ``better``; None for a tenth of the noise of
            one trial, of which a paired difference has the square root of two times as much.
        texts: What the sampling of held-out texts adds. The interval is never narrower for it.

    Raises:
        ValueError: Fewer than two pairs have no spread.

    Source: Student (1908); with texts, Satterthwaite (1946). Differences that are all alike give an
    interval of no width.
    """
    count = len(differences)
    if count < 2:
        raise ValueError(f"{count} paired difference(s); an interval needs at least 2")
    values = np.asarray(differences, dtype=np.float64)
    gain, spread = float(values.mean()), float(values.std(ddof=1))
    reach = _reach(spread**2 / count, count - 1, texts, confidence)
    relevant = RELEVANT * spread / 2.0**0.5 if least_gain is None else least_gain
    low, high = gain - reach, gain + reach
    claim = answer(low, high, relevant) if count >= LEAST_PAIRS else Answer.NO_DIFFERENCE_SHOWN
    return Comparison(
        gain=gain,
        ci_low=low,
        ci_high=high,
        seeds=count,
        answer=claim,
        worst=float(values.min()),
        texts=texts.count if texts else 0,
        texts_seeds=texts.pairs if texts else 0,
        least_gain=relevant,
    )


def _reach(variance: float, freedom: int, texts: TextSampling | None, confidence: float) -> float:
    """Half the width: by the seeds alone, or by seeds and texts where that is wider."""
    alone = _quantile(freedom, confidence) * math.sqrt(variance)
    if texts is None or texts.variance <= 0.0:
        return alone
    both = variance + texts.variance
    shares = (variance / both) ** 2 / freedom + (texts.variance / both) ** 2 / texts.freedom
    return max(alone, _quantile(1.0 / shares, confidence) * math.sqrt(both))


def _quantile(freedom: float, confidence: float) -> float:
    return float(special.stdtrit(freedom, 0.5 + confidence / 2.0))


def answer(low: float, high: float, least_gain: float = 0.0) -> Answer:
    """Say where zero, and the least relevant gain, lie relative to the interval."""
    if low > least_gain:
        return Answer.BETTER
    return Answer.WORSE if high < 0.0 else Answer.NO_DIFFERENCE_SHOWN
