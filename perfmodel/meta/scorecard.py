"""Scorecard: how well one held-out study was foretold, and the marks to read it by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.meta.evaluation import (
    Held,
    HoldOut,
    label_ceiling,
    leave_out,
    score_correlation,
)
from perfmodel.meta.lesson import Lesson

MEAN = "mean"
"""In place of a study's name: the mean over studies."""


@dataclass(frozen=True)
class Scorecard:
    """One row of ``rankadaptor meta evaluate``.

    Attributes:
        held_out: What was left out with the study: study or family.
        study: Its name, or ``MEAN``.
        method: A key of ``perfmodel.meta.methods.METHODS``.
        rank_correlation: Spearman's, of predicted with labelled worth.
        ceiling: Of that correlation, for a perfect prediction, as the labels are noisy.
        explained: Share of the labels' variance that is predicted.
        score_correlation: Of predicted with observed scores, on the budget.
        score_correlation_equal: The same with all layers equal: no prior.
        score_correlation_own: The same with the study's own labels, which have seen the scores.
        noise: Predicted noise ratio.
        noise_label: Observed.
    """

    held_out: str
    study: str
    method: str
    rank_correlation: float
    ceiling: float
    explained: float
    score_correlation: float
    score_correlation_equal: float
    score_correlation_own: float
    noise: float
    noise_label: float


def scorecards(lessons: Sequence[Lesson], by: HoldOut, method: str) -> tuple[Scorecard, ...]:
    """One per study, then their mean."""
    cards = [_card(held, by, method) for held in leave_out(lessons, by, method)]
    return (*cards, _mean(cards, by, method))


def _card(held: Held, by: HoldOut, method: str) -> Scorecard:
    lesson = held.lesson
    return Scorecard(
        held_out=by.value,
        study=lesson.study.name,
        method=method,
        rank_correlation=held.rank_correlation,
        ceiling=label_ceiling(lesson),
        explained=held.explained,
        score_correlation=held.score_correlation,
        score_correlation_equal=score_correlation(lesson, np.zeros_like(held.log_worth)),
        score_correlation_own=score_correlation(lesson, lesson.labels.log_worth),
        noise=held.noise,
        noise_label=lesson.labels.noise,
    )


def _mean(cards: Sequence[Scorecard], by: HoldOut, method: str) -> Scorecard:
    numbers = [name for name, kind in Scorecard.__annotations__.items() if kind is float]
    means = {name: float(np.mean([getattr(card, name) for card in cards])) for name in numbers}
    return Scorecard(by.value, MEAN, method, **means)
