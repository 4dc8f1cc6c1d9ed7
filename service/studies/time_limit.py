"""The time limit of a search, ``budget.gpu_hours``: how much of a survey's time counts in it."""

import math

from rankspace.study import Budget

SURVEY_SHARE = 0.5
"""Part of the limit that a survey uses up at most: it must not cost the search."""


def limit_seconds(budget: Budget) -> float:
    """Training time after which no new search trial starts; infinite where there is no limit."""
    return math.inf if budget.gpu_hours is None else budget.gpu_hours * 3600.0


def counted(budget: Budget, survey_seconds: float) -> float:
    """Seconds of the survey as far as the limit knows them."""
    return min(survey_seconds, SURVEY_SHARE * limit_seconds(budget))
