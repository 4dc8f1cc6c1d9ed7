"""The Bayesian regression behind ``additive``: exact, conjugate, averaged over the prior's grid.

Score of vector i: ``y_i = mu + sum_l phi(r_il) beta_l + noise``; the coefficients have the
hierarchical Gaussian prior of ``perfmodel.prior``, the noise variance an inverse gamma one, and
``mu`` (one per seed) is flat. Everything is computed from ``n x n`` matrices of the observations,
so it does not matter that there are more layers than trials.

Source: Rasmussen & Williams (2006), sections 2.1 and 2.7 (explicit basis functions); Gelman et
al. (2013), section 14.2 (normal-inverse-gamma); sampling by Matheron's rule, Wilson et al. (2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats, Integers
from perfmodel.hierarchy import Level
from perfmodel.prior import SIGNALS, Prior
from rankspace import RankVector

NOISE_SHAPE = 1.0
NOISE_RATE = 0.02
"""Inverse gamma prior of the noise variance, in units of the scores' variance."""

NEGLIGIBLE = 0.02
"""Grid points with less than this share of the best one's evidence are dropped."""

OUTLIER = 5.0
"""Scores further below the median than this many robust deviations are pulled in to there: a
diverged fine-tune says "bad", not how bad."""


@dataclass(frozen=True)
class Standard:
    """Location and scale of the scores, robust against diverged trials."""

    centre: float
    scale: float

    @classmethod
    def of(cls, scores: Floats) -> "Standard":
        centre = float(np.median(scores))
        low, high = np.quantile(scores, [0.25, 0.75])
        spread = max(float(high - low) / 1.349, 1e-3 * float(np.std(scores)))
        kept = np.maximum(scores, centre - OUTLIER * spread)
        return cls(centre, float(np.std(kept)) or 1.0)

    def apply(self, scores: Floats) -> Floats:
        low, high = np.quantile(scores, [0.25, 0.75])
        floor = self.centre - OUTLIER * float(high - low) / 1.349
        kept = np.maximum(scores, floor) if high > low else scores
        return np.asarray((kept - self.centre) / self.scale)


@dataclass(frozen=True)
class Point:
    """One grid point with its share of the belief, in standardised units.

    Attributes:
        weight: Posterior probability.
        scales: Prior variance per level in units of the noise variance, ``(levels,)``.
        solver: ``P`` with ``P y`` the dual weights, ``(n, n)``; projects the offsets out.
        noise_shape: Posterior of the noise variance.
        noise_rate: Likewise.
    """

    weight: float
    scales: Floats
    solver: Floats
    noise_shape: float
    noise_rate: float

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return self.noise_rate / self.noise_shape


@dataclass(frozen=True)
class Posterior:
    """What the scores say about the utilities.

    Attributes:
        prior: Of the space.
        features: Of the observed vectors, ``(n, layers, curves)``.
        scores: Standardised, ``(n,)``.
        standard: How they were standardised.
        offsets: Seed group of each observation, ``(n,)``; 0 is the most frequent seed.
        points: Most probable first.
    """

    prior: Prior
    features: Floats
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
        points = _weigh(prior.shares, prior.grams(features, features), y, _contrasts(offsets))
        return cls(prior, features, y, standard, offsets, points)

    def mean_tables(self) -> Floats:
        """Posterior mean of the utilities on the allowed ranks, ``(layers, R)``, score units."""
        parts = [p.weight * self._tables(p.scales, p.solver @ self.scores) for p in self.points]
        return np.asarray(self.standard.scale * np.sum(parts, axis=0))

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
        return np.asarray(self.standard.scale * (drawn + self._tables(point.scales, dual)))

    def predict(self, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each, score units."""
        features = self.prior.features(vectors)
        cross = self.prior.grams(features, self.features)
        alone = self.prior.variances(features)
        home = np.flatnonzero(self.offsets == 0)
        moments = []
        for point in self.points:
            kernel = np.tensordot(point.scales, cross, 1)
            dual = point.solver @ self.scores
            residual = self.scores - np.tensordot(point.scales, self._gram(), 1) @ dual - dual
            mean = residual[home[0]] + kernel @ dual
            spread = point.scales @ alone
            moments.append((point.weight, mean, self._variance(point, kernel, spread, home)))
        mean = sum((w * m for w, m, _ in moments), start=np.zeros(len(vectors)))
        square = sum((w * (v + m**2) for w, m, v in moments), start=np.zeros(len(vectors)))
        std = np.sqrt(np.maximum(square - mean**2, 0.0))
        return self.standard.centre + self.standard.scale * mean, self.standard.scale * std

    def difference(self, first: RankVector, second: RankVector) -> tuple[float, float]:
        """Mean and standard deviation of the first's noiseless score minus the second's."""
        features = self.prior.features([first, second])
        change = features[:1] - features[1:]
        cross = self.prior.grams(change, self.features)[:, 0]
        alone = self.prior.variances(change)[:, 0]
        mean = square = 0.0
        for point in self.points:
            kernel = point.scales @ cross
            m = float(kernel @ point.solver @ self.scores)
            v = point.noise * float(point.scales @ alone - kernel @ point.solver @ kernel)
            mean += point.weight * m
            square += point.weight * (max(v, 0.0) + m**2)
        std = float(np.sqrt(max(square - mean**2, 0.0)))
        return mean * self.standard.scale, std * self.standard.scale

    def left_out(self) -> Floats:
        """Leave-one-out prediction minus score of each observation, ``(n,)``, score units."""
        errors = np.zeros(len(self.scores))
        for point in self.points:
            diagonal = np.maximum(np.diagonal(point.solver), 1e-12)
            errors -= point.weight * (point.solver @ self.scores) / diagonal
        return errors * self.standard.scale

    def _gram(self) -> Floats:
        return self.prior.grams(self.features, self.features)

    def _variance(self, point: Point, kernel: Floats, spread: Floats, home: Integers) -> Floats:
        """Variance of ``mu + utilities``, ``(n,)``: the mean over the home seed pins ``mu``."""
        gram = np.tensordot(point.scales, self._gram(), 1)
        anchor = np.zeros(len(self.scores))
        anchor[home] = 1.0 / len(home)
        to_anchor = kernel @ anchor
        explained = kernel - gram @ anchor - anchor  # covariance of (f - anchor mean) with y
        centred = spread - 2.0 * to_anchor + anchor @ gram @ anchor + anchor @ anchor
        fitted = np.einsum("ni,ij,nj->n", explained, point.solver, explained)
        return point.noise * np.maximum(centred - fitted, 0.0)

    def _tables(self, scales: Floats, dual: Floats) -> Floats:
        """Utilities given dual weights ``(n,)``: each level pools its groups, ``(layers, R)``."""
        pulled = np.einsum("n,nlk->lk", dual, self.features)
        hierarchy = self.prior.hierarchy
        effects = sum(
            (
                scales[level] * hierarchy.spread(level, hierarchy.gather(level, pulled[None])[0])
                for level in Level
            ),
            start=np.zeros_like(pulled),
        )
        return np.asarray(effects @ self.prior.curves.table.T)

    def _draw_effects(self, scales: Floats, rng: np.random.Generator) -> Floats:
        """One draw of the coefficients from the prior, ``(layers, curves)``, unit noise."""
        hierarchy, curves = self.prior.hierarchy, self.features.shape[2]
        draws = [rng.standard_normal((hierarchy.sizes[level], curves)) for level in Level]
        return np.asarray(
            sum(np.sqrt(scales[level]) * hierarchy.spread(level, draws[level]) for level in Level)
        )


def _offsets(seeds: Sequence[int]) -> Integers:
    """Number the seeds, the most frequent (then smallest) first."""
    order = sorted(set(seeds), key=lambda seed: (-seeds.count(seed), seed))
    return np.array([order.index(seed) for seed in seeds], dtype=np.int64)


def _contrasts(offsets: Integers) -> Floats:
    """Orthonormal basis of what is left when every seed's mean is removed, ``(n, n - seeds)``."""
    members = np.asarray(offsets[:, None] == np.arange(offsets.max() + 1), dtype=np.float64)
    full, _ = np.linalg.qr(members, mode="complete")
    return np.asarray(full[:, members.shape[1] :])


def _weigh(shares: Floats, grams: Floats, y: Floats, basis: Floats) -> tuple[Point, ...]:
    """Evidence of every grid point; one eigendecomposition serves all signal levels."""
    signals = np.array(SIGNALS)
    target = basis.T @ y
    shape = NOISE_SHAPE + 0.5 * len(target)
    found = []
    for share in shares:
        inner = basis.T @ np.tensordot(share, grams, 1) @ basis
        values, axes = np.linalg.eigh(inner)
        spread = 1.0 + signals[:, None] * np.maximum(values, 0.0)  # (signals, n - seeds)
        rates = NOISE_RATE + 0.5 * ((axes.T @ target) ** 2 / spread).sum(axis=1)
        evidence = -0.5 * np.log(spread).sum(axis=1) - shape * np.log(rates)
        found.append((evidence, rates, spread, basis @ axes, share))
    best = max(float(evidence.max()) for evidence, *_ in found)
    total = sum(float(np.exp(evidence - best).sum()) for evidence, *_ in found)
    points = [
        Point(
            float(np.exp(evidence[at] - best)) / total,
            signals[at] * share,
            (axes / spread[at]) @ axes.T,
            shape,
            float(rates[at]),
        )
        for evidence, rates, spread, axes, share in found
        for at in np.flatnonzero(evidence - best > np.log(NEGLIGIBLE))
    ]
    return _normalised(points)


def _normalised(points: Sequence[Point]) -> tuple[Point, ...]:
    total = sum(point.weight for point in points)
    kept = [
        Point(p.weight / total, p.scales, p.solver, p.noise_shape, p.noise_rate) for p in points
    ]
    return tuple(sorted(kept, key=lambda point: -point.weight))
