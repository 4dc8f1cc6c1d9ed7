"""Process: a Gaussian process on levelled trials, with Student's tails."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.levelled import Levelled
from perfmodel.additive.noise import TAILS
from perfmodel.allocation.lattice import Lattice
from perfmodel.arrays import Floats, Integers
from perfmodel.regressors.gaussian_process import GaussianProcess
from perfmodel.strategies.gp import BEND
from perfmodel.strategies.training_set import MinMaxScaling
from rankspace import RankVector, SearchSpace

DOUBTED = 0.5
"""Trust in a trial below which the process is fitted once more with the trust that each has."""


@dataclass(frozen=True)
class Process:
    """A process over the vectors of one space.

    Attributes:
        scaling: Of ranks.
        regressor: On bent features and scores in units of ``unit`` above ``centre``.
        centre: See ``Levelled``.
        unit: Likewise.
    """

    scaling: MinMaxScaling
    regressor: GaussianProcess
    centre: float
    unit: float

    @classmethod
    def fit(cls, space: SearchSpace, trials: Levelled) -> "Process":
        """Choose kernel and noise, and learn ``trials``."""
        scaling = MinMaxScaling.of(space)
        features = bent(scaling(trials.vectors))
        regressor = GaussianProcess.fit(features, trials.scores, trials.loudness)
        trust = trusted(regressor)
        if trust.min() < DOUBTED:
            regressor = GaussianProcess.fit(features, trials.scores, trials.loudness / trust)
        return cls(scaling, regressor, trials.centre, trials.unit)

    def on(self, trials: Levelled) -> "Process":
        """The same kernel and noise on other trials."""
        features = bent(self.scaling(trials.vectors))
        regressor = self.regressor.on(features, trials.scores, trials.loudness)
        trust = trusted(regressor)
        if trust.min() < DOUBTED:
            regressor = self.regressor.on(features, trials.scores, trials.loudness / trust)
        return Process(self.scaling, regressor, trials.centre, trials.unit)

    def believing(self, vectors: Sequence[RankVector]) -> "Process":
        """As if trials of ``vectors`` had scored just as predicted."""
        told = self.regressor.believing(bent(self.scaling(vectors)))
        return Process(self.scaling, told, self.centre, self.unit)

    def predict(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each, score units."""
        return self._raised(bent(self.scaling(vectors)))

    def gains(self, vectors: Sequence[RankVector], over: RankVector) -> tuple[Floats, Floats]:
        """The same of what each of ``vectors`` scores above ``over``."""
        features = bent(self.scaling([*vectors, over]))
        mean, std = self.regressor.gains(features[:-1], features[-1:])
        return self.unit * mean, self.unit * std

    def predict_levels(self, lattice: Lattice, levels: Integers) -> tuple[Floats, Floats]:
        """The same of ``(n, d)`` levels."""
        ranks = lattice.at(lattice.ranks, levels)
        return self._raised(bent(np.maximum(ranks - self.scaling.low, 0.0) / self.scaling.width))

    def _raised(self, features: Floats) -> tuple[Floats, Floats]:
        mean, std = self.regressor.predict(features)
        return self.centre + self.unit * mean, self.unit * std


def bent(scaled: Floats) -> Floats:
    """Concave features: the first ranks of a layer are worth most."""
    return np.asarray(np.log1p(BEND * scaled))


def trusted(regressor: GaussianProcess) -> Floats:
    """How much each trial counts under Student's t, by its left-out error, ``(n,)``.

    Source: Liu & Rubin (1995), one step of it.
    """
    errors = regressor.left_out([np.array([at]) for at in range(len(regressor.scores))])
    spread = regressor.amplitude * regressor.noise * regressor.loudness
    known = regressor.amplitude / (regressor.whiten**2).sum(axis=1)
    relative = errors**2 / np.maximum(known, spread)
    return np.asarray(np.minimum((TAILS + 1.0) / (TAILS + relative), 1.0))
