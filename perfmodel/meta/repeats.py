"""Noise from vectors that were tried on several seeds."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from perfmodel.arrays import Floats
from rankspace import Observation

LEAST_FREEDOM = 5
"""Degrees of freedom the repeats must leave for the noise."""


def repeat_noise(scored: Sequence[Observation], unit: float) -> float | None:
    """Standard deviation of the noise in units of ``unit``; None if there are too few repeats.

    The residual of a two-way fit, vectors by seeds: what is left when both are known.
    """
    times = Counter(seen.rank_vector for seen in scored)
    repeats = [seen for seen in scored if times[seen.rank_vector] > 1]
    if not repeats:
        return None
    vectors = sorted({seen.rank_vector.ranks for seen in repeats})
    rows = [[seen.rank_vector.ranks == vector for vector in vectors] for seen in repeats]
    design = np.hstack([np.array(rows, dtype=np.float64), seed_columns(repeats)])
    scores = np.array([seen.score for seen in repeats], dtype=np.float64) / unit
    found, _, rank, _ = np.linalg.lstsq(design, scores)
    freedom = len(repeats) - int(rank)
    if freedom < LEAST_FREEDOM:
        return None
    rest = scores - design @ found
    return float(np.sqrt(rest @ rest / freedom))


def seed_columns(scored: Sequence[Observation]) -> Floats:
    """One column per seed and fidelity, 1 where a trial ran on it, ``(n, groups)``."""
    groups = [(seen.seed, seen.fidelity) for seen in scored]
    known = sorted(set(groups))
    return np.array([[group == one for one in known] for group in groups], dtype=np.float64)
