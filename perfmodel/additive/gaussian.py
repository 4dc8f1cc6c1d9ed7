"""A Gaussian with independent coordinates, conditioned on linear measurements of unit noise.

Everything is computed from ``n x n`` matrices of the measurements, so many more coordinates than
measurements cost little; one more measurement is a bordered Cholesky factor, not a new one.

Source: Rasmussen & Williams (2006), section 2.1; sampling by Matheron's rule, Wilson et al. (2020).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, lapack

from perfmodel.arrays import Floats
from rankspace.cached import cached_property


@dataclass(frozen=True)
class Gaussian:
    """Posterior of ``c`` given ``targets = rows @ c + noise``, prior ``N(mean, diag(variance))``.

    Attributes:
        rows: ``(n, p)``.
        targets: ``(n,)``.
        prior_mean: ``(p,)``.
        prior_variance: Positive, ``(p,)``.
    """

    rows: Floats
    targets: Floats
    prior_mean: Floats
    prior_variance: Floats

    @cached_property
    def factor(self) -> Floats:
        """Lower Cholesky factor of ``rows diag(prior_variance) rows^T + 1``, ``(n, n)``."""
        covariance = (self.rows * self.prior_variance) @ self.rows.T
        covariance.flat[:: len(covariance) + 1] += 1.0
        return _cholesky(covariance)

    def extended(self, row: Floats, target: float) -> "Gaussian":
        """Condition on one more measurement: ``O(n p + n^2)``."""
        weighted = self.prior_variance * row
        border = self._solved(self.rows @ weighted)
        corner = np.sqrt(1.0 + row @ weighted - border @ border)
        count = len(self.targets)
        factor = np.zeros((count + 1, count + 1))
        factor[:count, :count] = self.factor
        factor[count, :count], factor[count, count] = border, corner
        grown = Gaussian(
            np.concatenate([self.rows, row[None]]),
            np.append(self.targets, target),
            self.prior_mean,
            self.prior_variance,
        )
        vars(grown)["factor"] = factor
        return grown

    def within(self, larger: "Gaussian") -> "Gaussian":
        """An equal one in little memory: its rows are those that ``larger`` begins with, if so.

        Else they are its own, and hold no larger array. The factor is computed when asked for.
        """
        rows = larger.rows[: len(self.rows)]
        if not np.array_equal(rows, self.rows):
            rows = self.rows if self.rows.base is None else self.rows.copy()
        return Gaussian(rows, self.targets, self.prior_mean, self.prior_variance)

    @property
    def size(self) -> int:
        """Bytes of memory that it takes: of the factor, if it was asked for."""
        return self.rows.nbytes + (self.factor.nbytes if "factor" in vars(self) else 0)

    @cached_property
    def mean(self) -> Floats:
        """``(p,)``."""
        return self._pulled(self.prior_mean, self.targets)

    @cached_property
    def variance(self) -> Floats:
        """Marginal variances, ``(p,)``."""
        known = (self._solved(self.rows * self.prior_variance) ** 2).sum(axis=0)
        return np.asarray(np.maximum(self.prior_variance - known, 1e-10 * self.prior_variance))

    def variances(self, directions: Floats) -> Floats:
        """Variances of ``directions @ c``, for directions ``(m, p)``: ``(m,)``."""
        weighted = directions * self.prior_variance
        known = (self._solved(self.rows @ weighted.T) ** 2).sum(axis=0)
        return np.asarray(np.maximum((weighted * directions).sum(axis=1) - known, 0.0))

    def sample(self, rng: np.random.Generator) -> Floats:
        """One draw, ``(p,)``."""
        drawn = self.prior_mean + np.sqrt(self.prior_variance) * rng.standard_normal(
            len(self.prior_mean)
        )
        return self._pulled(drawn, self.targets + rng.standard_normal(len(self.targets)))

    def _pulled(self, start: Floats, targets: Floats) -> Floats:
        residual = self._solved(targets - self.rows @ start)
        dual = _solved(self.factor, residual, is_transposed=True)
        return np.asarray(start + self.prior_variance * (self.rows.T @ dual))

    def _solved(self, right: Floats) -> Floats:
        return _solved(self.factor, right)


# What scipy.linalg checks and wraps around these two costs several times a small matrix's share.


def _cholesky(matrix: Floats) -> Floats:
    """Lower factor of a symmetric matrix, which is overwritten.

    Raises:
        LinAlgError: It is not positive definite.
    """
    if not matrix.size:
        return matrix
    factor, info = lapack.dpotrf(matrix, lower=True, overwrite_a=True)
    if info:
        raise LinAlgError(f"the {info}-th leading minor is not positive")
    return np.asarray(factor)


def _solved(factor: Floats, right: Floats, *, is_transposed: bool = False) -> Floats:
    """``factor^-1 right``, or that of the transposed, for a lower triangle ``(n, n)``."""
    if not right.size:
        return right
    is_lower = factor.flags.f_contiguous  # LAPACK reads rows as columns
    given = factor if is_lower else factor.T
    found, info = lapack.dtrtrs(given, right, lower=is_lower, trans=is_transposed == is_lower)
    if info:
        raise LinAlgError(f"there is a zero at {info - 1} of the diagonal")
    return np.asarray(found)
