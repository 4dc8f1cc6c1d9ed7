"""The guard: is a model better than no model at all?"""

import numpy as np

from perfmodel.arrays import Floats

LEAST_SCORES_FOR_GUARD = 8
"""Scores before the guard speaks; fewer say nothing about either."""

PATIENCE = 1.05
"""How much worse than the baseline the model's squared error may be."""

NEGLIGIBLE = 1e-9
"""Spread of a feature, relative to its size, below which it is a constant up to rounding."""


def misleads(errors: Floats, scores: Floats, parameters: Floats) -> bool:
    """Whether left-out trials are predicted worse than by a constant or a line in the parameters.

    Args:
        errors: The model's leave-one-out errors, ``(n,)``.
        scores: What it was to predict, ``(n,)``.
        parameters: Trainable parameters of each trial, ``(n,)``.
    """
    if len(scores) < LEAST_SCORES_FOR_GUARD:
        return False
    plain = min(left_out_error(scores), left_out_error(scores, parameters))
    return float(np.mean(errors**2)) > PATIENCE * plain


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
