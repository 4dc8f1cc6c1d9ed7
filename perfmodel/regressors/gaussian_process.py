"""A Gaussian process over rank vectors: closed-form posterior, hyperparameters from a small grid.

Kernel: ``share * linear + (1 - share) * Matern-5/2`` with one length scale, on centred features;
both parts have about unit variance. The grid point with the largest evidence is used (ML-II), the
amplitude being its closed-form maximum at each point.

Source: Rasmussen & Williams (2006), algorithm 2.1 and section 5.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from perfmodel.arrays import Floats, Integers

LENGTHS = (0.5, 1.0, 2.0)
"""Length scales, in units of the root mean square distance between trials."""

SHARES = (0.0, 0.5, 0.9)
"""Of the linear part."""

NOISES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Noise variances, in units of the kernel's amplitude."""

TINY = 1e-12


@dataclass(frozen=True)
class Kernel:
    """Prior covariance, up to the amplitude.

    Attributes:
        centre: Mean of the features, ``(d,)``.
        radius: Mean squared distance of a trial from it.
        length: Length scale, in the features' units.
        share: Of the linear part.
    """

    centre: Floats
    radius: float
    length: float
    share: float

    @classmethod
    def of(cls, features: Floats, length: float, share: float) -> "Kernel":
        centre = features.mean(axis=0)
        radius = float(((features - centre) ** 2).sum(axis=1).mean()) or 1.0
        return cls(centre, radius, length * (2.0 * radius) ** 0.5, share)

    def __call__(self, left: Floats, right: Floats) -> Floats:
        """``(n, m)``."""
        left, right = left - self.centre, right - self.centre
        product = left @ right.T
        square = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * product
        reach = np.sqrt(5.0 * np.maximum(square, 0.0)) / self.length
        matern = (1.0 + reach + reach**2 / 3.0) * np.exp(-reach)
        return np.asarray(self.share * product / self.radius + (1.0 - self.share) * matern)

    def diagonal(self, features: Floats) -> Floats:
        """Prior variances, ``(n,)``."""
        square = ((features - self.centre) ** 2).sum(axis=1)
        return np.asarray(self.share * square / self.radius + 1.0 - self.share)


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior given trials.

    Attributes:
        kernel: Prior covariance up to the amplitude.
        noise: Noise variance, in units of the amplitude.
        features: Of the trials, ``(n, d)``.
        scores: Theirs, ``(n,)``.
        loudness: Noise variance of each in units of ``noise``, ``(n,)``.
        mean: Generalised least squares estimate of the constant.
        amplitude: Prior variance of the score, its closed-form maximum.
        whiten: Maps rows of covariances with the trials to independent ones, ``(n, n)``.
        targets: Whitened scores less the mean, ``(n,)``.
        evidence: Log marginal likelihood, up to a constant.
    """

    kernel: Kernel
    noise: float
    features: Floats
    scores: Floats
    loudness: Floats
    mean: float
    amplitude: float
    whiten: Floats
    targets: Floats
    evidence: float

    @classmethod
    def fit(
        cls, features: Floats, scores: Floats, loudness: Floats | None = None
    ) -> "GaussianProcess":
        """Return the posterior at the grid point with the largest evidence.

        Args:
            features: ``(n, d)``.
            scores: ``(n,)``.
            loudness: Noise variances relative to each other, ``(n,)``; None if all are alike.
        """
        loud = np.ones(len(scores)) if loudness is None else loudness
        kernels = [Kernel.of(features, length, share) for length in LENGTHS for share in SHARES]
        fitted = (
            one for kernel in kernels for one in cls._at(kernel, NOISES, features, scores, loud)
        )
        return max(fitted, key=lambda one: one.evidence)

    @classmethod
    def _at(
        cls,
        kernel: Kernel,
        noises: Sequence[float],
        features: Floats,
        scores: Floats,
        loudness: Floats,
    ) -> "Iterator[GaussianProcess]":
        """One posterior per noise; they share the eigenvectors."""
        scale = loudness**-0.5
        scaled = kernel(features, features) * scale * scale[:, None]
        values, vectors = np.linalg.eigh(scaled)
        ones, turned = vectors.T @ scale, vectors.T @ (scale * scores)
        for noise in noises:
            weights = 1.0 / (np.maximum(values, 0.0) + noise)
            mean = float(weights @ (ones * turned)) / float(weights @ ones**2)
            residual = turned - mean * ones
            amplitude = max(float(weights @ residual**2) / len(scores), TINY)
            evidence = 0.5 * (np.log(weights).sum() - len(scores) * np.log(amplitude))
            root = np.sqrt(weights)
            yield cls(
                kernel,
                noise,
                features,
                scores,
                loudness,
                mean,
                amplitude,
                scale[:, None] * vectors * root,
                residual * root,
                float(evidence),
            )

    def on(self, features: Floats, scores: Floats, loudness: Floats) -> "GaussianProcess":
        """The same kernel and noise on other trials; mean and amplitude are theirs."""
        covariance = self.kernel(features, features) + np.diag(self.noise * loudness)
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        whiten = linalg.solve_triangular(factor, np.eye(len(scores)), lower=True).T
        ones, turned = whiten.sum(axis=0), whiten.T @ scores
        mean = float(ones @ turned) / float(ones @ ones)
        residual = turned - mean * ones
        amplitude = max(float(residual @ residual) / len(scores), TINY)
        return replace(
            self,
            features=features,
            scores=scores,
            loudness=loudness,
            mean=mean,
            amplitude=amplitude,
            whiten=whiten,
            targets=residual,
        )

    def left_out(self, folds: Sequence[Integers]) -> Floats:
        """Error of each trial, ``(n,)``, predicted without its fold: score minus prediction.

        Args:
            folds: Indices of trials; together all of them. Kernel, noise and mean stay.

        Source: Rasmussen & Williams (2006), section 5.4.2, of blocks.
        """
        pull, errors = self.whiten @ self.targets, np.zeros(len(self.scores))
        for fold in folds:
            own = self.whiten[fold]
            errors[fold] = np.linalg.solve(own @ own.T, pull[fold])
        return errors

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(m,)`` each."""
        rows = self.kernel(features, self.features) @ self.whiten
        variance = self.kernel.diagonal(features) - (rows**2).sum(axis=1)
        std = np.sqrt(self.amplitude * np.maximum(variance, 0.0))
        return self.mean + rows @ self.targets, std

    def gains(self, features: Floats, over: Floats) -> tuple[Floats, Floats]:
        """The same of what ``features``, ``(m, d)``, score above ``over``, ``(1, d)``."""
        known = self.kernel(features, self.features) @ self.whiten
        base = self.kernel(over, self.features) @ self.whiten
        between = self.kernel(features, over)[:, 0]
        prior = self.kernel.diagonal(features) + self.kernel.diagonal(over) - 2.0 * between
        variance = prior - ((known - base) ** 2).sum(axis=1)
        std = np.sqrt(self.amplitude * np.maximum(variance, 0.0))
        return (known - base) @ self.targets, std

    def believing(self, features: Floats) -> "GaussianProcess":
        """As if trials at ``features``, ``(m, d)``, had scored just as predicted.

        Source: the kriging believer, Ginsbourger, Le Riche & Carraro (2010).
        """
        scores = np.concatenate([self.scores, self.predict(features)[0]])
        loudness = np.concatenate([self.loudness, np.ones(len(features))])
        told = self.on(np.concatenate([self.features, features]), scores, loudness)
        return replace(told, amplitude=self.amplitude)
