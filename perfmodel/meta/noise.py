"""The prior's opinion on noise: one number per study, from what the study holds fixed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.meta.boosting import Stage, Trees, grow
from perfmodel.meta.features import STUDY_FEATURES
from perfmodel.meta.lesson import Lesson

STAGE = Stage(
    tuple(range(len(STUDY_FEATURES))), trees=30, depth=1, rate=0.1, ridge=3.0, least_weight=2.0
)
"""Stumps that move little from the mean: there is one row per study."""


@dataclass(frozen=True)
class NoiseOpinion:
    """A mean, and trees for what differs from it.

    Attributes:
        mean: Of the logarithm of the noise ratio over the finished studies.
        trees: What the study's features add to it.
    """

    mean: float
    trees: Trees

    def ratio(self, about: Floats) -> float:
        """Noise ratio of a study with features ``(len(STUDY_FEATURES),)``, in (0, 1]."""
        return float(min(np.exp(self.mean + self.trees.predict(about[None, :])[0]), 1.0))


def learn_noise(lessons: Sequence[Lesson]) -> NoiseOpinion:
    logs = np.log([lesson.labels.noise for lesson in lessons])
    rows = np.array([lesson.about for lesson in lessons])
    mean = float(logs.mean())
    return NoiseOpinion(mean, grow(rows, logs - mean, np.ones(len(logs)), [STAGE]))
