"""The Bayesian regression behind ``additive``, as of the trials seen so far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.fit import Fit, compressed, refit
from perfmodel.additive.gaussian import Gaussian
from perfmodel.additive.measurements import PART
from perfmodel.additive.noise import INFORMATION, NoiseEstimate
from perfmodel.arrays import Floats
from rankspace import Observation, RankVector
from rankspace.cached import cached_property

EAGER = 64
"""Scores up to which each one is followed by a refit."""

GROWTH = 0.1
"""Share by which the scores grow between later refits."""

BLOCK = 256
"""Scores between two refits that are learned one by one before they are learned as one."""


@dataclass(frozen=True)
class Posterior:
    """What the scores say about the utilities.

    A refit follows each of the first trials, and later whenever their number has grown by a tenth;
    between refits a score is one exact rank-one update. Either way the posterior is a function of
    the scores in their order alone, however they were batched.

    Attributes:
        fit: The last refit.
        gaussian: Over coefficients and offsets, given all trials so far, in score units.
        count: Trials so far.
    """

    fit: Fit
    gaussian: Gaussian
    count: int

    @classmethod
    def of(cls, basis: Basis, seen: tuple[Observation, ...], home: int = 0) -> "Posterior":
        """Learn ``seen``, at least one scored trial, from scratch.

        The study's own seed is ``home``.
        """
        return cls.first(basis, seen, home).advanced(seen)

    @classmethod
    def first(cls, basis: Basis, seen: tuple[Observation, ...], home: int = 0) -> "Posterior":
        """Learn the first of ``seen`` alone."""
        return cls.after(refit(basis, seen[:1], None, home))

    @classmethod
    def after(cls, fit: Fit) -> "Posterior":
        """What a refit says, and nothing since."""
        return cls(fit, fit.gaussian, len(fit.measurements.seen))

    def advanced(self, seen: tuple[Observation, ...]) -> "Posterior":
        """Learn the rest of ``seen``, of which the first ``count`` are known."""
        fit = self.fit
        for count in range(self.count + 1, len(seen) + 1):
            if _is_due(fit, seen[count - 1], count):
                fit = refit(self.basis, seen[:count], fit, self.home)
        posterior = self if fit is self.fit else self.after(fit)
        return Posterior(fit, posterior._extended(seen), len(seen))

    def _extended(self, seen: tuple[Observation, ...]) -> Gaussian:
        """Learn the rest of ``seen`` between two refits.

        One by one, and at every ``BLOCK``-th score since the refit as a block: however far apart
        refits are, the posterior keeps no more rows than columns and a block.
        """
        gaussian, count, fitted = self.gaussian, self.count, len(self.fit.measurements.seen)
        while (end := count + BLOCK - (count - fitted) % BLOCK) <= len(seen):
            rows, targets = self.fit.measured_all(seen[count:end])
            rows = np.concatenate([gaussian.rows, rows])
            targets = np.concatenate([gaussian.targets, targets])
            prior = gaussian.prior_mean, gaussian.prior_variance
            gaussian, count = Gaussian(*compressed(rows, targets), *prior), end
        for one in seen[count:]:
            gaussian = gaussian.extended(*self.fit.measured(one))
        return gaussian

    def stepped(self, seen: tuple[Observation, ...]) -> "Posterior":
        """Learn on, up to the next refit: ``advanced`` in pieces, as exact as at once."""
        numbers = range(self.count + 1, len(seen) + 1)
        due = (count for count in numbers if _is_due(self.fit, seen[count - 1], count))
        return self.advanced(seen[: next(due, len(seen))])

    def at_rest(self) -> "Posterior":
        """An equal one in about half the memory: of the refit it keeps what further trials need.

        What else is asked of the refit's Gaussian takes a moment again.
        """
        if self.gaussian is self.fit.gaussian:
            return self
        return replace(self, fit=self.fit.within(self.gaussian))

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, but for its trials."""
        mine, fitted = self.gaussian, self.fit.gaussian
        if mine is fitted:
            return mine.size
        shared = fitted.rows.nbytes if np.may_share_memory(mine.rows, fitted.rows) else 0
        return mine.size + fitted.size - shared

    @property
    def basis(self) -> Basis:
        return self.fit.measurements.basis

    @property
    def home(self) -> int:
        return self.fit.measurements.indicators.home

    @property
    def noise(self) -> NoiseEstimate:
        return self.fit.noise.estimate

    @cached_property
    def coefficients(self) -> Floats:
        """Posterior mean, ``(p,)``."""
        return self.gaussian.mean[: len(self.fit.sites.mean)]

    def mean_tables(self) -> Floats:
        """Posterior mean of the utilities on the allowed ranks, ``(layers, R)``, score units."""
        return self.basis.tables(self.coefficients)

    def sample_tables(self, rng: np.random.Generator) -> Floats:
        """One draw of the utilities, ``(layers, R)``, score units.

        The Gaussian knows nothing of signs, so a coefficient is drawn no further below zero than
        its mean lies.
        """
        drawn = self.gaussian.sample(rng)[: len(self.coefficients)]
        return self.basis.tables(np.maximum(drawn, np.minimum(self.coefficients, 0.0)))

    def predict(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each, score units."""
        rows = self._directions(vectors)
        return self._mean(rows), np.sqrt(self.gaussian.variances(rows) / INFORMATION)

    def means(self, vectors: Sequence[RankVector]) -> Floats:
        """The mean alone, ``(n,)``: of many vectors the deviation takes longest."""
        parts = range(0, len(vectors), PART)
        means = [self._mean(self._directions(vectors[at : at + PART])) for at in parts]
        return np.concatenate(means) if means else np.zeros(0)

    def _mean(self, rows: Floats) -> Floats:
        return np.asarray(self.fit.measurements.centre + rows @ self.gaussian.mean)

    def difference(self, first: RankVector, second: RankVector) -> tuple[float, float]:
        """Mean and standard deviation of the first's noiseless score minus the second's."""
        mean, std = self.gains([first], second)
        return float(mean[0]), float(std[0])

    def gains(self, vectors: Sequence[RankVector], over: RankVector) -> tuple[Floats, Floats]:
        """The same of each of ``vectors`` minus ``over``, ``(n,)`` each."""
        rows = self._directions([*vectors, over])
        change = rows[:-1] - rows[-1]
        return change @ self.gaussian.mean, np.sqrt(self.gaussian.variances(change) / INFORMATION)

    def _directions(self, vectors: Sequence[RankVector]) -> Floats:
        """Rows at the highest fidelity and on the home seed, ``(n, p + g)``."""
        features = self.basis.features(vectors)
        beside = np.zeros((len(vectors), len(self.gaussian.mean) - features.shape[1]))
        beside[:, 0] = 1.0
        return np.concatenate([features, beside], axis=1)


def _is_due(fit: Fit, one: Observation, count: int) -> bool:
    """Whether ``one``, the trial number ``count``, calls for a refit."""
    fitted, indicators = len(fit.measurements.seen), fit.measurements.indicators
    return count <= EAGER or count >= fitted * (1.0 + GROWTH) or not indicators.covers(one)
