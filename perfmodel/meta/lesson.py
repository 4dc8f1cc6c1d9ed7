"""Lesson: a finished study as the regressors see it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.meta.features import FEATURES, STUDY_FEATURES, features
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.labels import Labels, labels_of

JITTER = 0.3
"""Variance that even a layer whose worth is known exactly scatters by around any prediction from
features; keeps a few well-measured layers from outvoting all others."""


@dataclass(frozen=True)
class Lesson:
    """Features and labels of one study.

    Attributes:
        study: Where they come from.
        labels: What its layers turned out to be worth.
        features: Of the free layers, ``(f, len(FEATURES))``.
    """

    study: FinishedStudy
    labels: Labels
    features: Floats

    @property
    def weights(self) -> Floats:
        """One over the variance of each label around a prediction, ``(f,)``; sums to ``f``."""
        precision = self.labels.precision
        raw = precision / (1.0 + JITTER * precision)
        return np.asarray(raw * len(raw) / max(raw.sum(), 1e-12))

    @property
    def about(self) -> Floats:
        """Features of the study as a whole, ``(len(STUDY_FEATURES),)``."""
        return self.features[0, [FEATURES.index(name) for name in STUDY_FEATURES]]

    def inverted(self) -> "Lesson":
        """The same with labels of the opposite sign: what a prior must be guarded against."""
        return replace(self, labels=replace(self.labels, log_worth=-self.labels.log_worth))


def lessons_of(studies: Iterable[FinishedStudy]) -> tuple[Lesson, ...]:
    """Make lessons of the studies that teach something; the others are left out.

    A study teaches nothing without layer profiles, or with too few scored trials.
    """
    found = []
    for study in studies:
        labels = labels_of(study) if study.context.profiles else None
        if labels is not None and labels.precision.any():
            rows = features(study.space, study.context)[labels.free]
            found.append(Lesson(study, labels, rows))
    return tuple(found)
