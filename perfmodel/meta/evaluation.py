"""Leave-one-out: what a prior would have said about a study it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import rankdata

from perfmodel.arrays import Floats
from perfmodel.meta.curve import curve, is_on_budget
from perfmodel.meta.labels import spread_around
from perfmodel.meta.lesson import Lesson
from perfmodel.meta.methods import METHODS
from perfmodel.meta.noise import learn_noise
from rankspace.errors import InvalidInput


class HoldOut(StrEnum):
    """What is left out together with a study."""

    STUDY = "study"  # the studies of the same pruned model: another pruning of it may be known
    FAMILY = "family"  # the studies of the same base model: it was never seen


@dataclass(frozen=True)
class Held:
    """A lesson and what a prior learned from the others says about its layers.

    Attributes:
        lesson: The one left out.
        log_worth: Predicted, of its free layers, ``(f,)``; weighted mean 0, as the labels'.
        noise: Predicted noise ratio.
        teachers: Studies the prior was learned from.
    """

    lesson: Lesson
    log_worth: Floats
    noise: float
    teachers: int

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of predicted with labelled log worth; 0 if the prediction is constant."""
        return _correlation(rankdata(self.log_worth), rankdata(self.lesson.labels.log_worth))

    @property
    def explained(self) -> float:
        """Weighted share of the labels' variance that is predicted; 1 is all, below 0 harm."""
        target, weights = self.lesson.labels.log_worth, self.lesson.weights
        target = target - np.average(target, weights=weights)
        lost = np.average((target - self.log_worth) ** 2, weights=weights)
        return 1.0 - float(lost / max(np.average(target**2, weights=weights), 1e-12))

    @property
    def score_correlation(self) -> float:
        """Of predicted with observed scores, over vectors on the budget: needs no labels."""
        return score_correlation(self.lesson, self.log_worth)


def leave_out(lessons: Sequence[Lesson], by: HoldOut, method: str = "xgboost") -> tuple[Held, ...]:
    """Hold out every lesson in turn.

    Args:
        lessons: Of at least two groups, see ``possible``.
        by: What is left out together.
        method: A key of ``METHODS``.
    """
    held = []
    for lesson in lessons:
        rest = others(lessons, lesson, by)
        said = METHODS[method](rest)(lesson.features)
        said = said - np.average(said, weights=lesson.weights)
        noise = learn_noise(rest).ratio(lesson.about)
        held.append(Held(lesson, said, noise, len(rest)))
    return tuple(held)


def others(lessons: Sequence[Lesson], lesson: Lesson, by: HoldOut) -> tuple[Lesson, ...]:
    """The lessons that are not held out with ``lesson``."""
    return tuple(other for other in lessons if _group(other, by) != _group(lesson, by))


def possible(lessons: Sequence[Lesson]) -> tuple[HoldOut, ...]:
    """Ways to hold out that leave something to learn from, the widest last.

    Raises:
        InvalidInput: There is none: fewer than two lessons, or all of one model.
    """
    ways = tuple(by for by in HoldOut if len({_group(lesson, by) for lesson in lessons}) > 1)
    if not ways:
        raise InvalidInput(
            "studies",
            [lesson.study.name for lesson in lessons],
            "do not come from two models with layer profiles and enough trials on the budget",
            fix="add studies of other models",
        )
    return ways


def spread_of(held: Sequence[Held]) -> float:
    """Standard deviation of true around predicted log worth, over all held-out layers."""
    sizes = np.array([len(one.log_worth) for one in held], dtype=np.float64)
    spreads = np.array([spread_around(one.lesson.study, one.log_worth) for one in held])
    return float(np.sqrt(np.average(spreads**2, weights=sizes)))


def score_correlation(lesson: Lesson, log_worth: Floats) -> float:
    """Correlation of ``sum exp(log_worth) * curve(rank)`` with the scores seen on the budget.

    Among vectors on the commonest seed, uniform ranks left out as they are no random vector.
    """
    study, labels = lesson.study, lesson.labels
    seeds = [seen.seed for seen in study.observations]
    common = max(sorted(set(seeds)), key=seeds.count)
    uniform = study.space.uniform()
    chosen = [
        seen
        for seen in study.observations
        if seen.seed == common
        and seen.score is not None
        and seen.rank_vector != uniform
        and is_on_budget(study.space, seen.rank_vector)
    ]
    rises = curve(study.space, [seen.rank_vector for seen in chosen], labels.bend)[:, labels.free]
    scores = np.array([seen.score for seen in chosen], dtype=np.float64)
    return _correlation(rises @ np.exp(log_worth), scores)


def label_ceiling(lesson: Lesson) -> float:
    """Highest correlation a perfect prediction could have with the noisy labels, on average."""
    weights, values = lesson.weights, lesson.labels.log_worth
    error = np.average(1.0 / np.maximum(lesson.labels.precision, 1e-3), weights=weights)
    total = np.average((values - np.average(values, weights=weights)) ** 2, weights=weights)
    return float(np.sqrt(np.clip(1.0 - error / max(total, 1e-12), 0.0, 1.0)))


def _group(lesson: Lesson, by: HoldOut) -> str:
    study = lesson.study
    model = study.model or study.name
    return (study.family or model) if by is HoldOut.FAMILY else model


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0.0 else 0.0
