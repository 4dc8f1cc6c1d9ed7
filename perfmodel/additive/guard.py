"""The guard: is a model better than no model at all?"""

import numpy as np

from perfmodel.arrays import Floats

LEAST_SCORES_FOR_GUARD = 8
"""Scores before the guard speaks; fewer say nothing about either."""

OFF, DIVERGED = 3.0, 10.0
"""Robust standard deviations beyond which an error counts as just that large, and beyond which a
score may be a diverged trial's: how far off it is says nothing about a model that did not foresee
it, and spoils the plain baseline as well. One that the model foresaw as well as others counts: so
far below the latest trials are the first ones of a search that has closed in."""

PATIENCE = 1.05
"""How much worse than the baseline the model's squared error may be."""

NEGLIGIBLE = 1e-9
"""Spread of a feature, relative to its size, below which it is a constant up to rounding."""


def misleads(errors: Floats, scores: Floats, parameters: Floats) -> bool:
    """Whether left-out trials are predicted worse than by a constant or a line in the parameters.

    Scores that are all alike convict nobody: a constant has no error there.

    Args:
        errors: The model's leave-one-out errors, ``(n,)``.
        scores: What it was to predict, ``(n,)``.
        parameters: Trainable parameters of each trial, ``(n,)``.
    """
    if len(scores) < LEAST_SCORES_FOR_GUARD or np.ptp(scores) == 0.0:
        return False
    away = scores - np.median(scores)
    foreseen = errors**2 <= limit(errors, DIVERGED)
    kept = foreseen | (away**2 <= limit(away, DIVERGED))
    told, priced = scores[kept], parameters[kept]
    plain = min(float(np.mean(left_out_errors(told, *with_) ** 2)) for with_ in ((), (priced,)))
    return float(np.mean(errors[kept] ** 2)) > PATIENCE * plain


def limit(errors: Floats, deviations: float = OFF) -> float:
    """Largest square that one of ``errors``, ``(n,)``, may count with.

    Infinite where more than half of them are 0: no deviation can be told then.
    """
    return float((deviations * 1.4826 * np.median(np.abs(errors))) ** 2) or np.inf


def left_out_errors(scores: Floats, feature: Floats | None = None) -> Floats:
    """Leave-one-out errors of least squares on a constant and ``feature``, ``(n,)`` each.

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
    return np.asarray(residual / (1.0 - leverage))
