"""Comparable scores: trials of different fidelities on one scale, that of the highest.

A fidelity's scores are shifted by how much the vectors that were tried at it gained at the higher
ones; where no vector was tried at both, by the difference of the mean scores. So every trial
teaches the shape of the score, and being trained for less is not held against a vector.
"""

import numpy as np

from perfmodel.arrays import Flags, Floats
from perfmodel.state import ModelState
from perfmodel.strategies.memory import remembered
from rankspace import RankVector


def comparable_scores(state: ModelState) -> Floats:
    """Scores of ``state.scored``, each as if trained at the highest fidelity seen, ``(n,)``."""
    if len({seen.fidelity for seen in state.scored}) < 2:
        return state.scores
    return remembered(state, "comparable", lambda: _shifted(state))


def _shifted(state: ModelState) -> Floats:
    fidelities = np.array([seen.fidelity for seen in state.scored])
    first, *lower = sorted(set(fidelities.tolist()), reverse=True)
    shifted, done = state.scores.copy(), fidelities == first
    for fidelity in lower:
        level = fidelities == fidelity
        above, here = _means(state, shifted, done), _means(state, shifted, level)
        both = [vector for vector in here if vector in above] or None
        shifted[level] += _mean(above, both) - _mean(here, both)
        done |= level
    return shifted


def _means(state: ModelState, scores: Floats, chosen: Flags) -> dict[RankVector, float]:
    """Mean score of every vector among the chosen trials."""
    found: dict[RankVector, list[float]] = {}
    for at in np.flatnonzero(chosen):
        found.setdefault(state.scored[at].rank_vector, []).append(float(scores[at]))
    return {vector: float(np.mean(values)) for vector, values in found.items()}


def _mean(means: dict[RankVector, float], vectors: list[RankVector] | None) -> float:
    return float(np.mean([means[vector] for vector in vectors or means]))
