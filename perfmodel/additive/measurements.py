"""Measurements: the scored trials as the rows of one linear regression.

A row is the features of a vector, scaled by how much of an effect its fidelity shows, plus one
indicator for its fidelity, and one for its seed where that is not the study's own. A seed that was
met once has no effect that could be told from its trial's noise: such trials share an indicator,
"on another seed", and their noise is larger by what seeds differ.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.noise import NoiseModel
from perfmodel.additive.standard import ALIKE, Standard
from perfmodel.arrays import Flags, Floats, Integers
from rankspace import Observation
from rankspace.cached import cached_property

SEEDS_TOLD_APART = 32
"""Seeds with a column of their own; those of each further one count as trials alone on theirs."""

ANYWHERE = 100.0
"""Prior variance of a fidelity's mean score, in units of the scores' variance."""

SEEDS = 1.0
"""Prior variance of a seed's effect on all scores alike, in units of the scores' variance."""

PART = 4_096
"""Trials whose rows are in memory at a time."""


@dataclass(frozen=True)
class Indicators:
    """Which columns stand beside the features: fidelities, "on another seed", seeds.

    Attributes:
        fidelities: Distinct ones, highest first; predictions are for the first.
        home: The study's own seed, the home of all effects: predictions are for it, whether or not
            a trial ran on it, so that no trial changes what the earlier ones mean.
        seeds: Others that were met more than once, in the order of the trials.
    """

    fidelities: tuple[float, ...]
    home: int
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, seen: Sequence[Observation], home: int) -> "Indicators":
        fidelities = sorted({one.fidelity for one in seen}, reverse=True)
        met = Counter(one.seed for one in seen)
        again = [seed for seed, count in met.items() if count > 1 and seed != home]
        return cls(tuple(fidelities), home, tuple(again[:SEEDS_TOLD_APART]))

    def covers(self, one: Observation) -> bool:
        """Whether a further trial has a row; one on a new seed has: it is alone there so far."""
        return one.fidelity in self.fidelities

    def alone(self, seen: Sequence[Observation]) -> Flags:
        """Which trials ran on a seed that is told from no other, ``(n,)``."""
        known = {self.home, *self.seeds}
        return np.array([one.seed not in known for one in seen], dtype=np.bool_)

    def columns(self, seen: Sequence[Observation]) -> Floats:
        """``(n, fidelities + 1 + seeds)``."""
        levels = np.array([self.fidelities.index(one.fidelity) for one in seen])
        places = {seed: at for at, seed in enumerate((self.home, *self.seeds), start=-1)}
        homes = np.array([places.get(one.seed, len(self.seeds)) for one in seen])
        left = levels[:, None] == np.arange(len(self.fidelities))
        right = homes[:, None] == np.arange(len(self.seeds))
        parts = [left, self.alone(seen)[:, None], right]
        return np.concatenate(parts, axis=1).astype(np.float64)

    def variances(self, scale: float) -> Floats:
        """Prior variances beside the features' coefficients, given the scores' deviation."""
        own = [ANYWHERE] * len(self.fidelities) + [SEEDS] * (1 + len(self.seeds))
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
    def of(cls, basis: Basis, seen: tuple[Observation, ...], home: int) -> "Measurements":
        """Of trials of a study whose own seed is ``home``."""
        indicators = Indicators.of(seen, home)
        standard = [
            Standard.of(_scores([one for one in seen if one.fidelity == fidelity]))
            for fidelity in indicators.fidelities
        ]
        return cls(basis, seen, tuple(standard), indicators)

    @property
    def parts(self) -> Iterator[tuple[slice, "Measurements"]]:
        """The trials piece by piece, each a regression like this one, with its place in it."""
        for begin in range(0, len(self.seen), PART):
            yield (place := slice(begin, begin + PART)), self._part(place)

    def _part(self, place: slice) -> "Measurements":
        """Knows what is kept of every trial: to tell it again takes longer than to fit a few."""
        part = replace(self, seen=self.seen[place])
        for name in ("indicator_columns", "alone", "levels", "targets"):
            vars(part)[name] = getattr(self, name)[place]
        return part

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
    def alone(self) -> Flags:
        """Which trials ran on a seed that is told from no other, ``(n,)``."""
        return self.indicators.alone(self.seen)

    @cached_property
    def levels(self) -> Integers:
        """Index of each trial's fidelity, ``(n,)``."""
        fidelities = len(self.indicators.fidelities)
        return np.asarray(self.indicator_columns[:, :fidelities].argmax(axis=1))

    @cached_property
    def targets(self) -> Floats:
        """Scores less their fidelity's median, outliers pulled in, ``(n,)``."""
        scores, targets = _scores(self.seen), np.zeros(len(self.seen))
        for level, standard in enumerate(self.standard):
            mine = self.levels == level
            targets[mine] = standard.above(scores[mine])
        return targets

    def deviations(self, noise: NoiseModel) -> Floats:
        """Standard deviation of each trial's noise, ``(n,)``."""
        return noise.deviations(self.levels, self.alone)

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
