"""The guard: is the model better than no model at all?"""

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.state import ModelState

LEAST = 8
"""Scores before the guard speaks; fewer say nothing about either."""

PATIENCE = 1.05
"""How much worse than the baseline the model's squared error may be."""


NEGLIGIBLE = 1e-9
"""Spread of a feature, relative to its size, below which it is a constant up to rounding."""


def misleads(state: ModelState) -> bool:
    """Whether the model predicts left-out trials worse than a line in the parameter count does.

    As of the last refit; the trials since then are few.
    """
    if state.posterior is None:
        return False
    fit = state.posterior.fit
    if len(fit.measurements.seen) < LEAST:
        return False
    model = float(np.mean(fit.left_out**2))
    ranks = np.array([one.rank_vector.ranks for one in fit.measurements.seen], dtype=np.float64)
    scores, parameters = fit.measurements.targets, ranks @ np.array(state.space.costs)
    plain = min(left_out_error(scores), left_out_error(scores, parameters))
    return model > PATIENCE * plain


def left_out_error(scores: Floats, feature: Floats | None = None) -> float:
    """Leave-one-out mean squared error of least squares on a constant and ``feature``, ``(n,)``.

    Source: Allen (1974), PRESS.
    """
    basis = np.full((1, len(scores)), len(scores) ** -0.5)
    if feature is not None:
        centred = feature - feature.mean()
        length = float(np.linalg.norm(centred))
        if length > NEGLIGIBLE * float(np.linalg.norm(feature)):
            basis = np.stack([basis[0], centred / length])
    residual = scores - basis.T @ (basis @ scores)
    leverage = np.minimum((basis**2).sum(axis=0), 1.0 - 1e-9)
    return float(np.mean((residual / (1.0 - leverage)) ** 2))
