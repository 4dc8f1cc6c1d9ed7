"""Fit: scales, noise and sites learned anew from all trials so far.

``score_i = offset + slope * sum_l u_l(r_il) + noise_i``: each utility is a mixture of saturating
curves whose coefficients are mostly positive and heavy-tailed (``amplitudes``), with scales pooled
over kinds of matrices and over blocks (``scales``). A fit alternates expectation propagation with
one step of expectation maximisation for the scales and the noise, and goes on from the fit before.
"""

from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.expectation_propagation import Sites, propagate
from perfmodel.additive.gaussian import Gaussian
from perfmodel.additive.guard import misleads
from perfmodel.additive.measurements import Measurements
from perfmodel.additive.noise import SLOPE_DOUBT, NoiseModel, least_variance
from perfmodel.additive.scales import Scales
from perfmodel.arrays import Floats
from rankspace import Observation
from rankspace.cached import cached_property

STEPS = 4
"""Steps of expectation maximisation per fit."""

LEAST_SLOPE = 0.05
"""Smallest part of the expected effects a fidelity is taken to show."""

LEAST_LEFT = 1e-6
"""Smallest share of a trial's residual that is its own."""


@dataclass(frozen=True)
class Fit:
    """The regression after its last refit.

    Attributes:
        measurements: The trials it saw.
        scales: Of the coefficients.
        noise: Of the trials, as they are best known.
        whitening: The noise ``gaussian`` was computed with, one step before.
        sites: Stand-ins of the coefficients' priors.
        gaussian: Over coefficients and offsets, in score units above the centre.
    """

    measurements: Measurements
    scales: Scales
    noise: NoiseModel
    whitening: NoiseModel
    sites: Sites
    gaussian: Gaussian

    @cached_property
    def left_out(self) -> Floats:
        """Leave-one-out prediction minus score of each trial, ``(n,)``, score units.

        Source: Allen (1974), PRESS. Scales, sites and noise are not left out.
        """
        residuals, variances = residuals_of(self.measurements, self.whitening, self.gaussian)
        known = variances / self.measurements.deviations(self.whitening) ** 2
        return np.asarray(-residuals / np.maximum(1.0 - known, LEAST_LEFT))

    @cached_property
    def misleads(self) -> bool:
        """Whether no model at all would predict the trials better.

        Trials alone at their fidelity are left out: their own offset predicts them perfectly.
        """
        levels = self.measurements.levels
        shared = np.bincount(levels)[levels] > 1
        parts = (self.left_out, self.measurements.targets, self.measurements.parameters)
        return misleads(*(part[shared] for part in parts))

    def within(self, larger: Gaussian) -> "Fit":
        """An equal one whose Gaussian shares the memory of ``larger``, which it grew into."""
        following = replace(self, gaussian=self.gaussian.within(larger))
        vars(following)["misleads"] = self.misleads  # with the factor, which goes
        return following

    def measured(self, one: Observation) -> tuple[Floats, float]:
        """Row and target of a further trial, in units of its noise."""
        rows, targets = self.measured_all((one,))
        return rows[0], float(targets[0])

    def measured_all(self, further: tuple[Observation, ...]) -> tuple[Floats, Floats]:
        """Rows ``(m, p + g)`` and targets ``(m,)`` of further trials, likewise."""
        seen = replace(self.measurements, seen=further)
        return whitened(seen, replace(self.whitening, weights=np.ones(len(further))))


def refit(basis: Basis, seen: tuple[Observation, ...], before: Fit | None, home: int = 0) -> Fit:
    """Fit all of ``seen``, trials with a score, beginning from the fit of some of them.

    The study's own seed is ``home``.
    """
    measurements = Measurements.of(basis, seen, home)
    scales, noise, sites = _begin(measurements, before)
    offsets = measurements.indicators.variances(measurements.scale)
    for _ in range(STEPS):
        rows, targets = _whitened_and_compressed(measurements, noise)
        scale = scales.of(basis)
        sites, gaussian, tilted = propagate(sites, offsets, rows, targets, scale, scales.shares)
        whitening, noise = noise, _noise(measurements, noise, gaussian)
        squares = tilted.variance + tilted.mean**2
        scales = scales.updated(basis, squares, tilted.shares)
    return Fit(measurements, scales, noise, whitening, sites, gaussian)


def _begin(measurements: Measurements, before: Fit | None) -> tuple[Scales, NoiseModel, Sites]:
    """The fit before, or a first guess; new trials and fidelities are trusted like the others."""
    scale, count = measurements.scale, len(measurements.seen)
    fresh = NoiseModel.first(scale, count, len(measurements.indicators.fidelities))
    if before is None or before.measurements.flat:
        scales = Scales.first(measurements.basis, measurements.feature_parts, scale)
        return scales, fresh, Sites.first(scales.of(measurements.basis), scales.shares)
    known = before.noise
    weights = fresh.weights.copy()
    weights[: len(known.weights)] = known.weights
    same = measurements.indicators.fidelities == before.measurements.indicators.fidelities
    factors, slopes = (known.factors, known.slopes) if same else (fresh.factors, fresh.slopes)
    variance = max(known.variance, least_variance(scale, count))  # outliers may have come since
    noise = NoiseModel(variance, known.freedom, weights, factors, slopes, known.alone)
    return before.scales, noise, before.sites


def whitened(measurements: Measurements, noise: NoiseModel) -> tuple[Floats, Floats]:
    """Rows ``(n, p + g)`` and targets ``(n,)`` in units of each trial's noise."""
    deviations = measurements.deviations(noise)
    rows = measurements.rows(noise.slopes)
    return rows / deviations[:, None], measurements.targets / deviations


def _whitened_and_compressed(
    measurements: Measurements, noise: NoiseModel
) -> tuple[Floats, Floats]:
    """``whitened``, compressed part by part."""
    parts = (
        whitened(part, replace(noise, weights=noise.weights[place]))
        for place, part in measurements.parts
    )
    rows, targets = compressed(*next(parts))
    for more, aims in parts:
        rows, targets = compressed(np.concatenate([rows, more]), np.concatenate([targets, aims]))
    return rows, targets


def compressed(rows: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """No more rows than columns that say exactly the same: an orthogonal transform of them."""
    count, columns = rows.shape
    if count <= columns:
        return rows, targets
    upper = np.asarray(np.linalg.qr(np.concatenate([rows, targets[:, None]], axis=1), mode="r"))
    return upper[:columns, :columns], upper[:columns, columns]


def residuals_of(
    measurements: Measurements, noise: NoiseModel, gaussian: Gaussian
) -> tuple[Floats, Floats]:
    """Residual of each trial, and the posterior variance of its fitted score, ``(n,)`` each."""
    residuals, variances = np.empty(len(measurements.seen)), np.empty(len(measurements.seen))
    for place, part in measurements.parts:
        rows = part.rows(noise.slopes)
        residuals[place] = part.targets - rows @ gaussian.mean
        variances[place] = gaussian.variances(rows)
    return residuals, variances


def _noise(measurements: Measurements, noise: NoiseModel, gaussian: Gaussian) -> NoiseModel:
    residuals, variances = residuals_of(measurements, noise, gaussian)
    deviations = measurements.deviations(noise)
    return noise.updated(
        residuals**2 + variances,
        measurements.levels,
        measurements.alone,
        scale=measurements.scale,
        effects=float((variances / deviations**2).sum()),
        slopes=_slopes(measurements, noise, gaussian),
    )


def _slopes(measurements: Measurements, noise: NoiseModel, gaussian: Gaussian) -> Floats:
    """Regress each fidelity's scores on the effects.

    The highest fidelity's slope is 1 by definition; what it comes out as says how much larger the
    effects are than they were taken to be, which the others' slopes are corrected by at once.
    """
    if len(noise.slopes) == 1:
        return noise.slopes
    size = gaussian.mean.size - measurements.indicator_columns.shape[1]
    effects = np.concatenate(
        [part.features @ gaussian.mean[:size] for _, part in measurements.parts]
    )
    left = measurements.targets - measurements.indicator_columns @ gaussian.mean[size:]
    weights = 1.0 / measurements.deviations(noise) ** 2
    slopes = np.ones(len(noise.slopes))
    for level in range(len(slopes)):
        mine = measurements.levels == level
        around = effects[mine] - np.average(effects[mine], weights=weights[mine])
        pull = float(weights[mine] * around @ left[mine]) + 1.0 / SLOPE_DOUBT**2
        have = float(weights[mine] * around @ effects[mine]) + 1.0 / SLOPE_DOUBT**2
        slopes[level] = pull / have
    slopes = np.maximum(slopes, LEAST_SLOPE)
    return np.asarray(slopes / slopes[0])
