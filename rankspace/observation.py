"""Measurement: the raw numbers of one run. Observation: what the performance model learns from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rankspace.errors import InvalidInput
from rankspace.rank_vector import RankVector

MOST_NATS = 1e6
"""A loss beyond it is no loss of a model: guessing among a million tokens costs 14 nats."""

ROUNDING = 1e-6
"""How far below zero rounding may put a loss."""


def is_loss(value: float) -> bool:
    """Whether ``value`` can be a mean cross-entropy, in nats."""
    return -ROUNDING <= value <= MOST_NATS


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a worker measured in one trial.

    Attributes:
        score: The study's metric as *higher is better* (minus the loss, for a loss).
        loss: Mean next-token loss on the trial's held-out split, in nats.
        train_loss: Mean training loss over the last tenth of the steps, in nats.
        steps: Optimiser steps taken.
        tokens: Training tokens seen, padding excluded.
        parameters: Trainable parameters of the adapter.
        seconds: Wall clock by phase: ``load``, ``attach``, ``train``, ``evaluate``.
        peak_bytes: Peak memory of the device (GPU) or of the process (CPU).
        versions: Library versions the numbers depend on.
    """

    score: float
    loss: float
    train_loss: float
    steps: int
    tokens: int
    parameters: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished trial as the performance model sees it.

    Attributes:
        rank_vector: What was tried.
        score: Higher is better, finite; None when the trial failed.
        seed: Seed of initialisation and data order; equal seeds make scores comparable in pairs.
        fidelity: Share of the full recipe's steps that was trained, in (0, 1].
    """

    rank_vector: RankVector
    score: float | None
    seed: int = 0
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise InvalidInput(
                "score", self.score, "is not finite", fix="give None: the trial failed"
            )
        if not 0.0 < self.fidelity <= 1.0:
            raise InvalidInput(
                "fidelity", self.fidelity, "must be above 0 and at most 1", fix="use 1.0"
            )
