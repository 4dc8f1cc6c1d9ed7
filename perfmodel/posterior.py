"""The Bayesian regression behind ``additive``: exact, conjugate, averaged over the prior's grid.

Score of vector i: ``y_i = mu + sum_l phi(r_il) beta_l + noise``; the coefficients have the
hierarchical Gaussian prior of ``perfmodel.prior``, the noise variance an inverse gamma one, and
``mu`` (one per seed) is flat. Everything is computed from ``n x n`` matrices of the observations,
so it does not matter that there are more layers than trials.

Source: Rasmussen & Williams (2006), sections 2.1 and 2.7 (explicit basis functions); sampling by
Matheron's rule, Wilson et al. (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats, Integers
from perfmodel.evidence import Point, weigh
from perfmodel.hierarchy import Level
from perfmodel.prior import Prior
from perfmodel.standard import Standard
from rankspace import RankVector


@dataclass(frozen=True)
class Posterior:
    """What the scores say about the utilities.

    Attributes:
        prior: Of the space.
        features: Of the observed vectors, ``(n, layers, curves)``.
        grams: Their covariances under unit effects, ``(levels, n, n)``.
        scores: Standardised, ``(n,)``.
        standard: How they were standardised.
        offsets: Seed group of each observation, ``(n,)``; 0 is the most frequent seed.
        points: Grid points of the prior, most probable first.
    """

    prior: Prior
    features: Floats
    grams: Floats
    scores: Floats
    standard: Standard
    offsets: Integers
    points: tuple[Point, ...]

    @classmethod
    def of(
        cls, prior: Prior, vectors: Sequence[RankVector], scores: Floats, seeds: Sequence[int]
    ) -> "Posterior":
        standard = Standard.of(scores)
        y, offsets = standard.apply(scores), _offsets(seeds)
        features = prior.features(vectors)
        grams = prior.grams(features, features)
        points = weigh(prior.shares, grams, y, offsets)
        return cls(prior, features, grams, y, standard, offsets, points)

    def mean_tables(self) -> Floats:
        """Posterior mean of the utilities on the allowed ranks, ``(layers, R)``, score units."""
        pull = sum(p.weight * np.outer(p.scales, p.solver @ self.scores) for p in self.points)
        return np.asarray(self.standard.scale * self._tables(np.asarray(pull)))

    def sample_tables(self, rng: np.random.Generator) -> Floats:
        """One draw of the utilities from the posterior, ``(layers, R)``, score units."""
        weights = np.array([point.weight for point in self.points])
        point = self.points[int(rng.choice(len(weights), p=weights))]
        noise = np.sqrt(point.noise_rate / rng.gamma(point.noise_shape))
        effects = self._draw_effects(point.scales, rng)
        imagined = np.einsum("nlk,lk->n", self.features, effects)
        imagined = noise * (imagined + rng.standard_normal(len(self.scores)))
        dual = point.solver @ (self.scores - imagined)
        drawn = noise * effects @ self.prior.curves.table.T
        return np.asarray(
            self.standard.scale * (drawn + self._tables(np.outer(point.scales, dual)))
        )

    def predict(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each, score units."""
        features = self.prior.features(vectors)
        cross = self.prior.grams(features, self.features)
        alone = self.prior.variances(features)
        moments = [self._moments(point, cross, alone) for point in self.points]
        mean, std = self._mixture(moments)
        return self.standard.centre + mean, std

    def difference(self, first: RankVector, second: RankVector) -> tuple[float, float]:
        """Mean and standard deviation of the first's noiseless score minus the second's."""
        features = self.prior.features([first, second])
        change = features[:1] - features[1:]
        cross = self.prior.grams(change, self.features)
        alone = self.prior.variances(change)
        moments = [
            self._conditioned(p, np.tensordot(p.scales, cross, 1), p.scales @ alone)
            for p in self.points
        ]
        mean, std = self._mixture(moments)
        return float(mean[0]), float(std[0])

    def left_out(self) -> Floats:
        """Leave-one-out prediction minus score of each observation, ``(n,)``, score units.

        Source: Rasmussen & Williams (2006), eq. 5.12. The hyperparameters are not left out.
        """
        parts = [
            point.weight
            * (point.solver @ self.scores)
            / np.maximum(np.diagonal(point.solver), TINY)
            for point in self.points
        ]
        return np.asarray(-self.standard.scale * np.sum(parts, axis=0))

    def _mixture(self, moments: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the grid points, score units without the centre."""
        weights = np.array([point.weight for point in self.points])[:, None]
        means, variances = map(np.stack, zip(*moments, strict=True))
        mean = (weights * means).sum(axis=0)
        variance = (weights * (variances + (means - mean) ** 2)).sum(axis=0)
        return self.standard.scale * mean, self.standard.scale * np.sqrt(variance)

    def _moments(self, point: Point, cross: Floats, alone: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of ``mu + utilities``, standardised, ``(n,)`` each.

        The mean score over the home seed stands in for ``mu``; its covariances are accounted for.
        """
        anchor = np.asarray(self.offsets == 0, dtype=np.float64)
        anchor /= anchor.sum()
        kernel = np.tensordot(point.scales, cross, 1)
        pinned = np.tensordot(point.scales, self.grams, 1) @ anchor + anchor
        prior = point.scales @ alone - 2.0 * kernel @ anchor + anchor @ pinned
        beyond = kernel - pinned  # covariance of (prediction - anchor) with the scores
        mean, variance = self._conditioned(point, beyond, prior)
        return anchor @ self.scores + mean, variance

    def _conditioned(self, point: Point, kernel: Floats, prior: Floats) -> tuple[Floats, Floats]:
        """Mean and variance given the scores, standardised, ``(n,)`` each.

        Args:
            point: The grid point.
            kernel: Covariance with the scores, ``(n, observations)``, in units of the noise.
            prior: Variance before the scores, ``(n,)``, in units of the noise.
        """
        gain = kernel @ point.solver
        known = (gain * kernel).sum(axis=1)
        return gain @ self.scores, point.noise * np.maximum(prior - known, 0.0)

    def _tables(self, pull: Floats) -> Floats:
        """Utilities given each level's dual weights ``(levels, n)``, pooled: ``(layers, R)``."""
        pulled = np.tensordot(pull, self.features, 1)  # (levels, layers, curves)
        hierarchy = self.prior.hierarchy
        pooled = [hierarchy.spread(at, hierarchy.gather(at, pulled[at, None])[0]) for at in Level]
        return np.asarray(np.sum(pooled, axis=0) @ self.prior.curves.table.T)

    def _draw_effects(self, scales: Floats, rng: np.random.Generator) -> Floats:
        """One draw of the coefficients from the prior, ``(layers, curves)``, unit noise."""
        hierarchy, curves = self.prior.hierarchy, self.features.shape[2]
        effects = np.zeros(self.features.shape[1:])
        for level in Level:
            draw = rng.standard_normal((hierarchy.sizes[level], curves))
            effects += np.sqrt(scales[level]) * hierarchy.spread(level, draw)
        return effects


TINY = 1e-12


def _offsets(seeds: Sequence[int]) -> Integers:
    """Number the seeds, the most frequent (then smallest) first."""
    order = sorted(set(seeds), key=lambda seed: (-seeds.count(seed), seed))
    return np.array([order.index(seed) for seed in seeds], dtype=np.int64)
