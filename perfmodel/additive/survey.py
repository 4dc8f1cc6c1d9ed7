"""The survey: scores of many vectors from one elastic training, as an opinion on the layers.

Its scores are no trials'. Their offset says nothing here, and is left out; how much the effects of
trials differ from its own, their slope, is the common scale, which the trials teach; and where it
is wrong it is wrong for all vectors alike, which no count of scores averages out. So it enters as
what each layer is worth relative to the others, in the place of a meta-learned prior that is one of
its own inputs: to a power, the trust, that the trials teach as well.
"""

from collections.abc import Sequence

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.belief import Belief
from perfmodel.additive.fit import Fit, refit
from perfmodel.arrays import Floats
from rankspace import Observation, SearchSpace
from rankspace.observation import Surveyed

LEAST_SCORES = 8
"""Scores below which a survey says nothing."""

ROUNDS = 5
"""Refits: one goes on from another."""

DEPTH = 3.0
"""How far below the worthiest layer's the logarithm of a layer's worth may lie: what the survey
does not see is not known to be nothing."""


def survey_belief(
    space: SearchSpace, surveyed: Sequence[Surveyed], prior: Belief | None
) -> Belief | None:
    """Return what the survey, heard with ``prior`` in mind, says of the layers.

    It is drawn towards no opinion by how much of its own scores remains unexplained when each is
    left out: scores in which the layers do not show are noise, whatever was fitted to them.

    Returns:
        ``prior`` where the survey says nothing.
    """
    if len(surveyed) < LEAST_SCORES or not space.free_layers:
        return prior
    basis = Basis.of(space, prior)
    fit = _fit(basis, surveyed)
    share = _explained(fit)
    if share <= 0.0:
        return prior
    free = basis.hierarchy.free
    worth = np.zeros(len(space.layers))
    logs = share * _log_worth(basis, fit)
    worth[free] = logs - logs.mean()
    version = f"{prior.prior}, survey" if prior else "survey"
    return Belief(tuple(worth.tolist()), version)


def _fit(basis: Basis, surveyed: Sequence[Surveyed]) -> Fit:
    seen = tuple(Observation(one.rank_vector, one.score) for one in surveyed)
    fit = refit(basis, seen, None)
    for _ in range(ROUNDS - 1):
        fit = refit(basis, seen, fit)
    return fit


def _explained(fit: Fit) -> float:
    """Share of the scores' variance that is predicted of those left out."""
    targets = fit.measurements.targets
    spread = float(np.var(targets)) * (len(targets) / (len(targets) - 1.0)) ** 2
    return 1.0 - float(np.mean(fit.left_out**2)) / spread if spread > 0.0 else 0.0


def _log_worth(basis: Basis, fit: Fit) -> Floats:
    """Of raising each free layer from its lowest rank to the middle one, ``(free,)``."""
    tables = basis.tables(fit.gaussian.mean[: len(fit.sites.mean)])[basis.hierarchy.free]
    worth = tables[:, tables.shape[1] // 2] - tables[:, 0]
    least = float(worth.max()) * np.exp(-DEPTH)
    return np.log(np.maximum(worth, least)) if least > 0.0 else np.zeros(len(worth))
