"""From finished studies to a prior."""

from collections.abc import Iterable, Mapping

import numpy as np

from perfmodel.meta.evaluation import leave_out, possible, spread_of
from perfmodel.meta.features import FEATURES, LAYER_FEATURES
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.lesson import Lesson, lessons_of
from perfmodel.meta.methods import stacked, worth_trees
from perfmodel.meta.noise import learn_noise
from perfmodel.meta.prior import MetaPrior, Provenance, Teacher

QUANTILES = (0.1, 0.5, 0.9)


def train(
    studies: Iterable[FinishedStudy],
    *,
    made: str = "",
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> MetaPrior:
    """Learn a prior; the same studies give the same bytes, in whatever order they come.

    Args:
        studies: Those without layer profiles or with too few trials are left out.
        made: Day, for the record.
        command: For the record.
        versions: Of libraries, for the record.

    Raises:
        InvalidInput: No two of them teach anything about two models.
    """
    lessons = lessons_of(sorted(studies, key=lambda study: study.name))
    return train_on(lessons, made=made, command=command, versions=versions)


def train_on(
    lessons: tuple[Lesson, ...],
    *,
    made: str = "",
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> MetaPrior:
    """Learn a prior from lessons that are already made; see ``train``."""
    by = possible(lessons)[-1]
    spread = spread_of(leave_out(lessons, by))
    teachers = tuple(_teacher(lesson) for lesson in lessons)
    return MetaPrior(
        worth=worth_trees(lessons),
        noise=learn_noise(lessons),
        spread=spread,
        ranges=_ranges(lessons),
        provenance=Provenance(teachers, made, command, versions, by.value),
    )


def _ranges(lessons: tuple[Lesson, ...]) -> dict[str, tuple[float, ...]]:
    rows, _, _ = stacked(lessons)
    columns = {name: rows[:, FEATURES.index(name)] for name in LAYER_FEATURES}
    known = {name: column[~np.isnan(column)] for name, column in columns.items()}
    return {
        name: tuple(np.quantile(column, QUANTILES).tolist())
        for name, column in known.items()
        if len(column)
    }


def _teacher(lesson: Lesson) -> Teacher:
    study = lesson.study
    return Teacher(study.name, study.family, len(lesson.labels.free), len(study.observations))
