"""Measurements: the scored trials as the rows of one linear regression.

A row is the features of a vector, scaled by how much of an effect its fidelity shows, plus one
indicator for its fidelity, and one for its seed where that is not the first trial's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.standard import Standard
from perfmodel.arrays import Floats, Integers
from rankspace import Observation

SEEDS_TOLD_APART = 32
"""Seeds with a column of their own. Each further one counts as the last of them: its effect is
noise, and a study in which every trial has a seed of its own would be all columns."""

ANYWHERE = 100.0
"""Prior variance of a fidelity's mean score, in units of the scores' variance."""

SEEDS = 1.0
"""Prior variance of a seed's effect on all scores alike, in units of the scores' variance."""

PART = 4_096
"""Trials whose rows are in memory at a time."""

ALIKE = 1e-6
"""Spread of scores, relative to their size, below which they are all alike."""


@dataclass(frozen=True)
class Indicators:
    """Which columns stand beside the features.

    Attributes:
        fidelities: Distinct ones, highest first; predictions are for the first.
        seeds: The first distinct ones, in the order of the trials; the very first is the home of
            all effects.
    """

    fidelities: tuple[float, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, seen: Sequence[Observation]) -> "Indicators":
        fidelities = sorted({one.fidelity for one in seen}, reverse=True)
        seeds = tuple(dict.fromkeys(one.seed for one in seen))
        return cls(tuple(fidelities), seeds[:SEEDS_TOLD_APART])

    def covers(self, one: Observation) -> bool:
        is_full = len(self.seeds) >= SEEDS_TOLD_APART
        return one.fidelity in self.fidelities and (is_full or one.seed in self.seeds)

    def columns(self, seen: Sequence[Observation]) -> Floats:
        """``(n, fidelities + seeds - 1)``."""
        levels = np.array([self.fidelities.index(one.fidelity) for one in seen])
        places = {seed: at for at, seed in enumerate(self.seeds)}
        homes = np.array([places.get(one.seed, len(self.seeds) - 1) for one in seen])
        left = levels[:, None] == np.arange(len(self.fidelities))
        right = homes[:, None] == np.arange(1, len(self.seeds))
        return np.concatenate([left, right], axis=1).astype(np.float64)

    def variances(self, scale: float) -> Floats:
        """Prior variances beside the features' coefficients, given the scores' deviation."""
        own = [ANYWHERE] * len(self.fidelities) + [SEEDS] * (len(self.seeds) - 1)
        return np.array(own) * scale**2


@dataclass(frozen=True)
class Measurements:
    """All scored trials.

    Attributes:
        basis: Of the space.
        seen: Trials with a score, in the order they were learned.
        standard: Where their scores lie, per fidelity, highest first.
        indicators: What stands beside the features.
    """

    basis: Basis
    seen: tuple[Observation, ...]
    standard: tuple[Standard, ...]
    indicators: Indicators

    @classmethod
    def of(cls, basis: Basis, seen: tuple[Observation, ...]) -> "Measurements":
        indicators = Indicators.of(seen)
        standard = [
            Standard.of(_scores([one for one in seen if one.fidelity == fidelity]))
            for fidelity in indicators.fidelities
        ]
        return cls(basis, seen, tuple(standard), indicators)

    @property
    def parts(self) -> Iterator[tuple[slice, "Measurements"]]:
        """The trials piece by piece, each a regression like this one, with its place in it."""
        for begin in range(0, len(self.seen), PART):
            place = slice(begin, begin + PART)
            yield place, replace(self, seen=self.seen[place])

    def feature_parts(self) -> Iterator[Floats]:
        """``features``, piece by piece."""
        for _, part in self.parts:
            yield part.features

    @property
    def centre(self) -> float:
        """Where the scores of the highest fidelity lie."""
        return self.standard[0].centre

    @cached_property
    def scale(self) -> float:
        """Standard deviation of the scores within their fidelities, or next to nothing."""
        size = max(abs(standard.centre) for standard in self.standard)
        return max(float(np.std(self.targets)), ALIKE * size) or ALIKE

    @cached_property
    def features(self) -> Floats:
        """``(n, p)``."""
        return self.basis.features([one.rank_vector for one in self.seen])

    @cached_property
    def parameters(self) -> Floats:
        """Trainable parameters of each trial, ``(n,)``."""
        return np.concatenate([part.parameters_at_once() for _, part in self.parts])

    def parameters_at_once(self) -> Floats:
        """``parameters`` from one matrix of ranks."""
        ranks = np.array([one.rank_vector.ranks for one in self.seen], dtype=np.float64)
        return np.asarray(ranks @ self.basis.costs)

    @cached_property
    def indicator_columns(self) -> Floats:
        """``(n, g)``."""
        return self.indicators.columns(self.seen)

    @cached_property
    def levels(self) -> Integers:
        """Index of each trial's fidelity, ``(n,)``."""
        fidelities = len(self.indicators.fidelities)
        return np.asarray(self.indicator_columns[:, :fidelities].argmax(axis=1))

    @cached_property
    def targets(self) -> Floats:
        """Scores less their fidelity's median, outliers pulled in, ``(n,)``."""
        floors = np.array([standard.floor for standard in self.standard])[self.levels]
        centres = np.array([standard.centre for standard in self.standard])[self.levels]
        return np.asarray(np.maximum(_scores(self.seen), floors) - centres)

    @property
    def flat(self) -> bool:
        """Whether the scores say nothing of scales yet: there is one, or they are all alike."""
        return bool(np.ptp(self.targets) == 0.0)

    def rows(self, slopes: Floats) -> Floats:
        """``(n, p + g)``, given the slope of each fidelity."""
        shown = slopes[self.levels][:, None]
        return np.concatenate([self.features * shown, self.indicator_columns], axis=1)


def _scores(seen: Sequence[Observation]) -> Floats:
    return np.array([one.score for one in seen], dtype=np.float64)
