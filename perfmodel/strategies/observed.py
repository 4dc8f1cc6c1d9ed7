"""Observed: a strategy without a model, which knows a vector only if it was tried."""

from collections.abc import Iterable, Sequence

import numpy as np

from perfmodel.allocation.feasible import is_feasible
from perfmodel.arrays import Floats
from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from perfmodel.strategies.memory import once
from rankspace import RankVector

MOST = 1_000
"""Best and latest trials whose vectors may lead, each."""


class Observed:
    """Predictions and leaders from the scores alone, shrunken towards their common mean.

    Half of the spread between vectors is taken to be noise: without repeats nobody can tell, and
    an unshrunken maximum is always too good to be true. Scores of a lower fidelity count as
    ``comparable_scores`` makes them.
    """

    def predict(self, state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each."""
        if not len(state.scored):
            return np.zeros(len(vectors)), np.full(len(vectors), np.inf)
        scores = comparable_scores(state)
        centre, spread = float(scores.mean()), float(scores.std())
        means, counts = _by_vector(state)
        known = np.array([counts.get(vector, 0) for vector in vectors], dtype=np.float64)
        observed = np.array([means.get(vector, centre) for vector in vectors])
        trust = known / (known + 1.0)
        return centre + trust * (observed - centre), spread * np.sqrt(1.0 - trust)

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """Up to ``count`` feasible vectors that were tried, best predicted first; or uniform."""
        tried = scored_vectors(state)
        if not tried:
            return (state.space.uniform(),)
        predicted, _ = self.predict(state, tried)
        order = np.argsort(-predicted, kind="stable")[:count]
        return tuple(tried[at] for at in order)

    def economy(self, state: ModelState) -> RankVector | None:
        """Return None: nothing is predicted of vectors below the budget."""
        return None


def scored_vectors(state: ModelState) -> list[RankVector]:
    """Feasible vectors with a score, in the order first tried."""
    return _feasible(state, (seen.rank_vector for seen in state.scored))


def contenders(state: ModelState) -> list[RankVector]:
    """The same; of very many trials, only those of the best scores and of the latest trials.

    What leads by a model's prediction is among them, and to predict 100,000 takes seconds.
    """
    count = len(state.scored)
    if count <= 2 * MOST:
        return scored_vectors(state)
    best = np.argsort(-comparable_scores(state), kind="stable")[:MOST]
    kept = sorted({*best.tolist(), *range(count - MOST, count)})
    return _feasible(state, (state.scored[at].rank_vector for at in kept))


def _feasible(state: ModelState, vectors: Iterable[RankVector]) -> list[RankVector]:
    known: dict[RankVector, bool] = once(state, "feasible", dict)
    seen = dict.fromkeys(vectors)
    for vector in seen.keys() - known.keys():
        known[vector] = is_feasible(state.space, vector)
    return [vector for vector in seen if known[vector]]


def _by_vector(state: ModelState) -> tuple[dict[RankVector, float], dict[RankVector, int]]:
    """Mean score and number of scores of every tried vector."""
    scores: dict[RankVector, list[float]] = {}
    for seen, score in zip(state.scored, comparable_scores(state).tolist(), strict=True):
        scores.setdefault(seen.rank_vector, []).append(score)
    means = {vector: float(np.mean(found)) for vector, found in scores.items()}
    return means, {vector: len(found) for vector, found in scores.items()}
