"""The guard: is the model better than no model at all?"""

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.state import ModelState

LEAST = 8
"""Scores before the guard speaks; fewer say nothing about either."""

PATIENCE = 1.1
"""How much worse than the baseline the model's squared error may be."""


NEGLIGIBLE = 1e-9
"""Spread of a feature, relative to its size, below which it is a constant up to rounding."""


def misleads(state: ModelState) -> bool:
    """Whether the model predicts left-out trials worse than a line in the parameter count does."""
    if state.posterior is None or len(state.scored) < LEAST:
        return False
    model = float(np.mean(state.posterior.left_out() ** 2))
    ranks = np.array([seen.rank_vector.ranks for seen in state.scored], dtype=np.float64)
    parameters = ranks @ np.array(state.space.costs, dtype=np.float64)
    plain = min(left_out_error(state.scores), left_out_error(state.scores, parameters))
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
