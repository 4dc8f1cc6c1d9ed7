"""PlannedTrial: a trial as the stages of a study order it, before it has an identity."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from rankspace import Purpose, RankVector
from rankspace.lease import SurveyOrder
from rankspace.trial import Split

Run: TypeAlias = tuple[RankVector, int]
"""A vector and the seed it runs with."""


def next_seed(first: int, vector: RankVector, runs: Iterable[Run]) -> int:
    """Return ``first``, which all vectors share, or for a repeat the one above its last seed."""
    return max((seed + 1 for known, seed in runs if known == vector), default=first)


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """What to run.

    Attributes:
        purpose: Why.
        rank_vector: The candidate.
        seed: Seed of initialisation and data order.
        steps: Optimiser steps; 0 for ``epochs`` passes.
        epochs: Passes over the data when ``steps`` is 0.
        split: Held-out half to score on.
        keep_adapter: Whether the worker uploads the trained adapter.
        proposed: Whether the performance model made it, so that it may be made anew.
        priority: Higher is claimed first.
        mean: Predicted score.
        std: Its standard deviation.
        noise: What one trial's noise was taken for then.
        rate: Factor on the recipe's learning rate.
        reason: Why this vector, for a person.
        survey: What a survey trains on and scores.
    """

    purpose: Purpose
    rank_vector: RankVector
    seed: int
    steps: int
    epochs: int = 0
    split: Split = Split.SELECTION
    keep_adapter: bool = False
    proposed: bool = False
    priority: int = 0
    mean: float | None = None
    std: float | None = None
    noise: float | None = None
    rate: float = 1.0
    reason: str = ""
    survey: SurveyOrder | None = None
