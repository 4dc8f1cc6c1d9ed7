"""The guard: is the model better than no model at all?"""

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.state import ModelState

LEAST = 8
"""Scores before the guard speaks; fewer say nothing about either."""

PATIENCE = 1.1
"""How much worse than the baseline the model's squared error may be."""


def misleads(state: ModelState) -> bool:
    """Whether the model predicts left-out trials worse than a line in the parameter count does."""
    if state.posterior is None or len(state.scored) < LEAST:
        return False
    model = float(np.mean(state.posterior.left_out() ** 2))
    parameters = [float(state.space.parameters(seen.rank_vector)) for seen in state.scored]
    plain = min(_left_out_error(state.scores, []), _left_out_error(state.scores, parameters))
    return model > PATIENCE * plain


def _left_out_error(scores: Floats, feature: list[float]) -> float:
    """Leave-one-out mean squared error of least squares on a constant and ``feature``.

    Source: Allen (1974), PRESS.
    """
    columns = [np.ones(len(scores))] + ([np.array(feature)] if feature else [])
    basis, _ = np.linalg.qr(np.stack(columns, axis=1))
    residual = scores - basis @ (basis.T @ scores)
    leverage = np.minimum((basis**2).sum(axis=1), 1.0 - 1e-9)
    return float(np.mean((residual / (1.0 - leverage)) ** 2))
