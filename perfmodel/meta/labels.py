"""Labels: what each layer of a finished study turned out to be worth.

The model is ``score = offset(seed) + sum_l exp(u_l) * curve(rank_l) + noise``, one curve for all
layers, and ``u_l`` exchangeable Gaussians: no meta-learned prior takes part, so that one trained
on the labels hears the trials and not itself. Fitted by maximum marginal likelihood (expectation
maximisation) with a Laplace approximation around the mode of ``u``.
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.allocation.random_vectors import random_vectors
from perfmodel.arrays import Floats, Integers
from perfmodel.meta.curve import curve, is_on_budget
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.repeats import repeat_noise, seed_columns
from rankspace import Observation, SearchSpace

LEAST_TRIALS = 12
"""Scored trials on the budget, minus the seeds they ran on, below which a study teaches nothing."""

BENDS = (0.3, 1.5, 6.0)
"""Candidates for the bend of the curve ``log(1 + bend * x)``; the likeliest is kept."""

SPREADS = (0.1, 2.0)
"""Bounds of the standard deviation of ``u``."""

LEAST_NOISE = 1e-3
"""Of the scores' spread: a world without noise must not divide by it."""

ROUNDS = 60
STEPS = 3
"""Gauss-Newton steps per round; each begins where the last round ended."""

LEAST_STEP = 1e-6
LEAST_PRECISION = 1e-3
REACH = 4.0
"""Furthest a label lies from the study's mean: a factor of 55."""

SAMPLE = 256
"""Random vectors on the budget, for the spread of their scores."""


@dataclass(frozen=True)
class Labels:
    """What a finished study says, in numbers.

    Attributes:
        free: Indices of the layers that were searched, ``(f,)``.
        log_worth: Logarithm of what raising the layer from the lowest rank to the budget's mean
            rank added to the score, relative to the others: its precision-weighted mean is 0,
            ``(f,)``. What the trials alone say, so it scatters widely where they say little.
        precision: One over its squared standard error, ``(f,)``; 0 where the trials say nothing.
        noise: Standard deviation of a trial's noise, divided by that of the scores of random
            vectors on the budget, noise included; in (0, 1]. From repeats on other seeds where
            there are enough, else what the fit leaves over.
        bend: Of the curve.
    """

    free: Integers
    log_worth: Floats
    precision: Floats
    noise: float
    bend: float


@dataclass(frozen=True)
class _Fit:
    """Mode and curvature of ``u`` at the likeliest hyperparameters."""

    mode: Floats
    covariance: Floats
    centre: Floats
    spread: float
    noise: float
    evidence: float


def labels_of(study: FinishedStudy) -> Labels | None:
    """Estimate the labels; None when fewer than ``LEAST_TRIALS`` speak, or all say the same."""
    trials = _trials(study)
    if trials is None:
        return None
    fit, bend = _likeliest(study.space, trials, np.zeros(len(study.space.free_layers)))
    return _labels(study.space, fit, bend, repeat_noise(trials.scored, trials.unit))


def spread_around(study: FinishedStudy, log_worth: Floats) -> float:
    """Standard deviation of the study's true log worth around a prediction ``(f,)``.

    The likeliest one, given the trials: what they leave open is not counted as an error of the
    prediction, as it would be if noisy labels were compared with it.

    Raises:
        ValueError: ``labels_of`` gives None.
    """
    trials = _trials(study)
    if trials is None:
        raise ValueError(f"study {study.name} says nothing")
    fit, _ = _likeliest(study.space, trials, log_worth)
    return fit.spread


@dataclass(frozen=True)
class _Trials:
    """The trials that count, their scores cleared of what each seed shifts and in units of it."""

    scored: list[Observation]
    offsets: Floats
    scores: Floats
    unit: float

    @property
    def freedom(self) -> int:
        return len(self.scored) - int(self.offsets.shape[1])


def _trials(study: FinishedStudy) -> _Trials | None:
    scored = [
        seen
        for seen in study.observations
        if seen.score is not None and is_on_budget(study.space, seen.rank_vector)
    ]
    if len(scored) < LEAST_TRIALS or not study.space.free_layers:
        return None
    offsets = seed_columns(scored)
    scores = _clear(np.array([seen.score for seen in scored], dtype=np.float64), offsets)
    unit = float(scores.std())
    if len(scored) - offsets.shape[1] < LEAST_TRIALS or unit <= 0.0:
        return None
    return _Trials(scored, offsets, scores / unit, unit)


def _likeliest(space: SearchSpace, trials: _Trials, expected: Floats) -> tuple[_Fit, float]:
    """The fit with the likeliest bend, around ``expected`` log worth ``(f,)``."""
    vectors = [seen.rank_vector for seen in trials.scored]
    free = space.free_layers
    fits = {}
    for bend in BENDS:
        rises = _clear(curve(space, vectors, bend)[:, free], trials.offsets)
        fits[bend] = _fit(rises, trials.scores, trials.freedom, expected)
    best = max(fits, key=lambda bend: fits[bend].evidence)
    return fits[best], best


def _clear(values: Floats, offsets: Floats) -> Floats:
    """Subtract the mean of each group."""
    means = (offsets.T @ values).T / offsets.sum(axis=0)
    return np.asarray(values - offsets @ means.T)


def _fit(design: Floats, scores: Floats, freedom: int, expected: Floats) -> _Fit:
    """Alternate between the mode of ``u`` and the hyperparameters that fit it."""
    layers = design.shape[1]
    centre, spread, noise = expected - np.log(layers), 1.0, 0.5
    mode = centre
    for _ in range(ROUNDS):
        mode, covariance = _mode(design, scores, mode, (centre, spread, noise))
        centre = expected + (mode - expected).mean()
        square = ((mode - centre) ** 2 + np.diag(covariance)).mean()
        spread = float(np.clip(np.sqrt(square), *SPREADS))
        slopes = design * np.exp(mode)
        rest = scores - slopes.sum(axis=1)
        doubt = np.sum((slopes @ covariance) * slopes)
        noise = max(float(np.sqrt((rest @ rest + doubt) / freedom)), LEAST_NOISE)
    evidence = (
        -freedom * np.log(noise)
        - rest @ rest / (2.0 * noise**2)
        - layers * np.log(spread)
        - ((mode - centre) ** 2).sum() / (2.0 * spread**2)
        + 0.5 * np.linalg.slogdet(covariance)[1]
    )
    return _Fit(mode, covariance, centre, spread, noise, float(evidence))


def _mode(
    design: Floats, scores: Floats, mode: Floats, hyper: tuple[Floats, float, float]
) -> tuple[Floats, Floats]:
    """A few damped Gauss-Newton steps towards the mode of ``u``, and the covariance around it."""
    centre, spread, noise = hyper

    def loss(u: Floats) -> float:
        rest = scores - design @ np.exp(u)
        return float(rest @ rest / noise**2 + ((u - centre) ** 2).sum() / spread**2)

    for _ in range(STEPS):
        slopes = design * np.exp(mode)
        rest = scores - slopes.sum(axis=1)
        precision = slopes.T @ slopes / noise**2 + np.eye(len(mode)) / spread**2
        pull = slopes.T @ rest / noise**2 - (mode - centre) / spread**2
        step = np.clip(np.linalg.solve(precision, pull), -1.0, 1.0)
        while loss(mode + step) > loss(mode) and np.abs(step).max() > LEAST_STEP:
            step = step / 2.0
        mode = mode + step
    return mode, np.asarray(np.linalg.inv(precision), dtype=np.float64)


def _labels(space: SearchSpace, fit: _Fit, bend: float, noise: float | None) -> Labels:
    """Divide the exchangeable prior out of the posterior: what is left is the trials' word."""
    free = np.array(space.free_layers, dtype=np.int64)
    variance = np.diag(fit.covariance)
    precision = np.maximum(1.0 / variance - 1.0 / fit.spread**2, 0.0)
    said = precision > LEAST_PRECISION
    value = fit.centre.copy()
    value[said] += (fit.mode - fit.centre)[said] / (precision * variance)[said]
    value = np.clip(value, fit.centre - REACH, fit.centre + REACH)
    precision = np.where(said, precision, 0.0)
    total = precision.sum()
    middle = precision @ value / total if total > 0.0 else fit.centre
    vectors = list(random_vectors(space, SAMPLE, 0))
    clean = curve(space, vectors, bend)[:, free] @ np.exp(fit.mode)
    total = float(np.hypot(fit.noise, clean.std()))
    ratio = min(fit.noise if noise is None else noise, total) / total
    return Labels(free, value - middle, precision, ratio, bend)
