"""Levelled: all trials as if of the highest fidelity and on the study's own seed.

Each trial is judged at its own fidelity and seed: what these add to its score, as the additive
model knows it, is taken off, and how noisy such a trial is stays with it. A trial that was stopped
early, or ran on a seed that nobody else has, is then no evidence for or against a vector beyond
what it can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.fit import Fit
from perfmodel.additive.gaussian import Gaussian
from perfmodel.additive.posterior import Posterior
from perfmodel.arrays import Floats, Integers
from rankspace import Observation, RankVector

ROWS = 200
"""Trials that are looked at, at most: the first half, which is spread out, and the latest half."""

TELLING = 4.0
"""Noise variance, in units of a full trial's, up to which a trial says where its vector scores."""


@dataclass(frozen=True)
class Levelled:
    """Trials that can be compared.

    Attributes:
        vectors: What was tried.
        scores: In units of ``unit`` above ``centre``, ``(n,)``.
        loudness: Noise variance over that of a full trial on the home seed, ``(n,)``.
        centre: Score of the home seed at the highest fidelity, as the additive model has it.
        unit: Standard deviation of the scores.
    """

    vectors: tuple[RankVector, ...]
    scores: Floats
    loudness: Floats
    centre: float
    unit: float

    @classmethod
    def of(cls, posterior: Posterior, seen: Sequence[Observation]) -> "Levelled":
        """Level ``seen``, or those that ``looked_at`` picks, by what ``posterior`` knows."""
        kept = tuple(seen[at] for at in looked_at(len(seen)))
        return _levelled(posterior.fit, posterior.gaussian, kept)

    def score_of(self, vector: RankVector) -> float | None:
        """Median score of the trials of ``vector`` that tell nearly as much as a full one.

        In units of the score; None without any.
        """
        pairs = zip(self.vectors, self.scores, self.loudness, strict=True)
        told = [score for tried, score, loud in pairs if tried == vector and loud <= TELLING]
        return self.centre + self.unit * float(np.median(told)) if told else None


def looked_at(count: int) -> Integers:
    """Indices of the trials that count, of so many, ascending."""
    if count <= ROWS:
        return np.arange(count)
    half = ROWS // 2
    return np.concatenate([np.arange(half), np.arange(count - half, count)])


def _levelled(fit: Fit, gaussian: Gaussian, seen: tuple[Observation, ...]) -> Levelled:
    measurements, noise = replace(fit.measurements, seen=seen), fit.whitening
    offsets = gaussian.mean[len(fit.sites.mean) :]
    slopes = noise.slopes[measurements.levels]
    own = measurements.targets - measurements.indicator_columns @ offsets
    unit = fit.measurements.scale
    return Levelled(
        tuple(one.rank_vector for one in seen),
        own / (slopes * unit),
        noise.loudness(measurements.levels, measurements.alone) / slopes**2,
        measurements.centre + float(offsets[0]),
        unit,
    )
