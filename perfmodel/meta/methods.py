"""Ways to predict log worth from features. The prior uses the first; the others are its measure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.meta.boosting import Stage, Trees, grow
from perfmodel.meta.features import KINDS, LAYER_FEATURES
from perfmodel.meta.lesson import Lesson

Predict = Callable[[Floats], Floats]
"""Features ``(n, len(FEATURES))`` to log worth ``(n,)``."""

OF_LAYERS = len(KINDS) + len(LAYER_FEATURES)
"""Log worth is relative to a study's other layers, so columns that are the same for all of them
could only memorise studies: no method sees those, which come last."""

STAGES = (
    Stage(tuple(range(len(KINDS))), trees=100, depth=1, rate=0.1, ridge=1.0, least_weight=1.0),
    Stage(tuple(range(OF_LAYERS)), trees=60, depth=2, rate=0.1, ridge=20.0, least_weight=20.0),
)
"""Kinds transfer between base models better than profiles do, as far as that was measured
(``docs/meta.md``), so they are fitted first and freely, the rest after them and reluctantly."""

RIDGE = 20.0
"""Penalty on the slope of a standardised feature, in layers of average weight."""


def stacked(lessons: Sequence[Lesson]) -> tuple[Floats, Floats, Floats]:
    """Rows, labels and weights of all lessons' layers; each study counts by its layers."""
    return (
        np.vstack([lesson.features for lesson in lessons]),
        np.concatenate([lesson.labels.log_worth for lesson in lessons]),
        np.concatenate([lesson.weights for lesson in lessons]),
    )


def worth_trees(lessons: Sequence[Lesson]) -> Trees:
    """Grow the trees of a prior: the kind of matrix first, then what the profiles add to it."""
    return grow(*stacked(lessons), STAGES)


def boosted(lessons: Sequence[Lesson]) -> Predict:
    return worth_trees(lessons).predict


def ridge(lessons: Sequence[Lesson]) -> Predict:
    """A linear function of the same features, standardised; unknown ones count as average."""
    rows, values, weights = stacked(lessons)
    rows = rows[:, :OF_LAYERS]
    seen = ~np.isnan(rows)
    count = np.maximum(seen.sum(axis=0), 1)
    middle = np.where(seen, rows, 0.0).sum(axis=0) / count
    square = np.where(seen, (rows - middle) ** 2, 0.0).sum(axis=0) / count
    scale = np.sqrt(square) + 1e-9

    def standard(raw: Floats) -> Floats:
        return np.asarray(np.nan_to_num((raw[:, :OF_LAYERS] - middle) / scale))

    slopes = _solve(standard(rows), values, weights, RIDGE)
    return lambda raw: np.asarray(standard(raw) @ slopes)


def kind_means(lessons: Sequence[Lesson]) -> Predict:
    """The mean over all layers of the same kind, whatever pruning did to them."""
    rows, values, weights = stacked(lessons)
    slopes = _solve(rows[:, : len(KINDS)], values, weights, 1.0)
    return lambda raw: np.asarray(raw[:, : len(KINDS)] @ slopes)


METHODS: Mapping[str, Callable[[Sequence[Lesson]], Predict]] = {
    "xgboost": boosted,
    "ridge": ridge,
    "kind means": kind_means,
}


def _solve(rows: Floats, values: Floats, weights: Floats, penalty: float) -> Floats:
    square = (rows.T * weights) @ rows + penalty * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(square, (rows.T * weights) @ values))
