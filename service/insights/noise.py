"""The noise of a study's trials, as its performance model estimates it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import optimize, special
from sqlalchemy.orm import Session

from perfmodel import ModelState
from rankspace.calibration import Noise
from rankspace.errors import Conflict
from service.insights.knowledge import knowledge

TAIL = 0.05
"""Probability on either side of the interval."""


def study_noise(session: Session, study: str) -> Noise:
    """Estimate the noise.

    Raises:
        NotFound: There is no such study.
        Conflict: Too few trials have a score.
    """
    found = known_noise(knowledge(session, study))
    if found is None:
        raise Conflict(f"study {study} has too few scores", hint="wait for its first trials")
    return found


def known_noise(state: ModelState | None) -> Noise | None:
    """Read the noise off the model's posterior; None before there is one."""
    if state is None or state.posterior is None:
        return None
    points, scale = state.posterior.points, state.posterior.standard.scale
    low, middle, high = (scale * _quantile(points, at) for at in (TAIL, 0.5, 1.0 - TAIL))
    return Noise(middle, low, high, _source(state))


def _quantile(points: Sequence[Any], share: float) -> float:
    """Noise deviation that the posterior puts ``share`` below, in standardised units."""

    def excess(log_sd: float) -> float:
        variance = np.exp(2.0 * log_sd)
        below = [
            p.weight * special.gammaincc(p.noise_shape, p.noise_rate / variance) for p in points
        ]
        return float(sum(below)) - share

    return float(np.exp(optimize.brentq(excess, -20.0, 5.0)))


def _source(state: ModelState) -> str:
    repeated = len(state.scored) - len({seen.rank_vector for seen in state.scored})
    return f"what {len(state.scored)} scores leave unexplained" + (
        f", {repeated} of them repeats of a vector on another seed" if repeated else ""
    )
