"""Review: how well the additive model and the process foretell trials that they have not seen.

The ratio ``rho`` of their squared errors by five folds decides who proposes and how much each is
believed. Both are given the same levelled trials. What a fold leaves out is learned anew: the
coefficients of the one, the weights of the other; scales, kernel and noise stay those of all.
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.expectation_propagation import Sites, propagate
from perfmodel.additive.fit import Fit, refit
from perfmodel.additive.guard import limit
from perfmodel.additive.levelled import Levelled, looked_at
from perfmodel.additive.measurements import ANYWHERE
from perfmodel.additive.posterior import Posterior
from perfmodel.additive.standard import ALIKE
from perfmodel.arrays import Floats, Integers
from perfmodel.strategies.climbing.process import Process
from rankspace import Observation, SearchSpace

FOLDS = 5
EVERY = 5
"""Scores between two reviews, as long as they are few; later a tenth of them."""

LEAST = 10
"""Scores before the first one."""

MOST = 10.0
"""Largest ratio, either way, that is believed."""


@dataclass(frozen=True)
class Review:
    """What was found on the first so many scores.

    Attributes:
        rho: Robust mean squared error of the additive model over that of the process.
        process: Fitted on these scores: later trials are learned with its kernel and noise.
    """

    rho: float
    process: Process

    @property
    def weight(self) -> float:
        """Share of the additive model in what is believed."""
        return 1.0 / (1.0 + self.rho**2)

    @classmethod
    def of(
        cls, space: SearchSpace, basis: Basis, seen: tuple[Observation, ...], home: int
    ) -> "Review":
        """Of scored trials; however many there are, no more than ``ROWS`` of them count."""
        kept = tuple(seen[at] for at in looked_at(len(seen)))
        fit = refit(basis, kept, None, home)
        trials = Levelled.of(Posterior.after(fit), kept)
        process = Process.fit(space, trials)
        folds = [np.arange(first, len(kept), FOLDS) for first in range(FOLDS)]
        scale = np.sqrt(trials.loudness)
        ours = left_out(fit, trials, folds) / scale
        theirs = process.regressor.left_out(folds) / scale
        return cls(_ratio(ours, theirs), process)


def due(scores: int) -> int:
    """How many of the first ``scores`` the latest review is of; 0 before the first one."""
    latest, following = 0, LEAST
    while following <= scores:
        latest = following
        following += EVERY * max(1, int(latest / (10 * EVERY)))
    return latest


def left_out(fit: Fit, trials: Levelled, folds: list[Integers]) -> Floats:
    """Error of each trial as the additive model foretells it without its fold, ``(n,)``.

    In units of ``trials.unit``, score minus prediction.
    """
    unit, noise, scales = trials.unit, fit.noise, fit.scales
    scale = scales.of(fit.measurements.basis) / unit
    features = fit.measurements.features
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    deviations = np.sqrt(noise.variance * trials.loudness / noise.weights) / unit
    errors = np.zeros(len(rows))
    for fold in folds:
        kept = np.setdiff1d(np.arange(len(rows)), fold)
        told = rows[kept] / deviations[kept, None], trials.scores[kept] / deviations[kept]
        sites = Sites.first(scale, scales.shares)
        _, gaussian, _ = propagate(sites, np.array([ANYWHERE]), *told, scale, scales.shares)
        errors[fold] = trials.scores[fold] - rows[fold] @ gaussian.mean
    return errors


def _ratio(ours: Floats, theirs: Floats) -> float:
    """Ratio of mean squares; how far off a diverged trial is counts for neither.

    1 where the process errs by nothing: the scores are all alike.
    """
    worst = min(limit(ours), limit(theirs))
    mine, other = (float(np.mean(np.minimum(e**2, worst))) for e in (ours, theirs))
    if other <= ALIKE**2:
        return 1.0
    return round(float(np.clip(mine / other, 1.0 / MOST, MOST)), 6)
