"""``rankadaptor``: the published method, as far as it is known (docs/decisions/0007)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.additive.belief import Belief
from perfmodel.allocation.random_vectors import random_vectors
from perfmodel.arrays import Floats
from perfmodel.regressors.perceptron import Perceptron
from perfmodel.state import ModelState
from perfmodel.strategies.candidates import neighbours, random_candidates
from perfmodel.strategies.memory import once, remembered
from perfmodel.strategies.modelled import Fitted, Modelled
from perfmodel.strategies.observed import Observed
from perfmodel.strategies.random import fresh_vector
from perfmodel.strategies.swap import best_seen
from perfmodel.strategies.training_set import MinMaxScaling, TrainingSet
from rankspace import RankVector, SearchSpace

HIDDEN = (32, 32, 32)
EPOCHS = 200
RATE = 1e-2

CANDIDATES = 64
"""Drawn per round; the best predicted one is tried."""

TOLERANCE = 0.1
"""Prediction error of the latest trial, in standard deviations of the scores, below which the
search counts as converged."""

PSEUDO = 256
"""Random vectors the perceptron is trained on offline, scored by the meta-learned prior."""

HALF = 0.5
"""Of the mean rank above the lowest: where a layer has half of its worth, in a pseudo score."""

FOLDS = 4
"""Of the cross-validation that says how wrong the predictions are."""


@dataclass(frozen=True)
class PerformanceModel:
    """The paper's f: rank vector to score.

    Attributes:
        network: Learned offline, then on all trials.
        error: Root mean square error on left-out trials, in standard deviations of the scores.
    """

    network: Perceptron
    error: float

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean, and the same left-out error everywhere, ``(n,)`` each."""
        return self.network(features), np.full(len(features), self.error)


class RankAdaptor(Modelled[PerformanceModel]):
    """Random vectors, then the best predicted of some random candidates, round after round."""

    source = "Zhou et al. 2025 (RankAdaptor, arXiv 2406.15734); see docs/decisions/0007"
    name = "rankadaptor"
    begins = 8

    def opening(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> RankVector:
        """Return a random vector; the paper's search does not begin at uniform."""
        return fresh_vector(state, pending, rng)

    def regressor(self, state: ModelState, trained: TrainingSet) -> PerformanceModel:
        learned_offline = once(state, "rankadaptor offline", lambda: offline(state))
        return PerformanceModel(
            online(learned_offline, trained), _left_out_error(learned_offline, trained)
        )

    def choose(
        self,
        state: ModelState,
        fitted: Fitted[PerformanceModel],
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> tuple[RankVector, str] | None:
        """Predict random candidates; once converged, neighbours of the best measured vector."""
        converged = remembered(state, "rankadaptor stop", lambda: _converged(state, fitted))
        if converged:
            drawn = neighbours(state, [best_seen(state)], CANDIDATES, rng)
        else:
            drawn = random_candidates(state, CANDIDATES, rng)
        new = [vector for vector in drawn if vector not in pending and vector not in state.tried]
        if not new:
            return None
        best = int(np.argmax(fitted(new)[0]))
        kind = "neighbours of the best, as the last prediction held" if converged else "random ones"
        return new[best], f"best predicted of {len(new)} {kind}"

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """The best measured vectors, as in the paper."""
        return Observed().leaders(state, count)


def offline(state: ModelState) -> Perceptron:
    """Return random weights, trained on the meta-learned prior's opinion if there is one."""
    scaling = MinMaxScaling.of(state.space)
    rng = np.random.default_rng(state.seed)
    fresh = Perceptron.fresh([len(scaling.free), *HIDDEN], rng)
    if state.belief is None:
        return fresh
    vectors = random_vectors(state.space, PSEUDO, state.seed)
    scores = pseudo_scores(state.space, state.belief, vectors)
    return fresh.trained(scaling(vectors), scores, epochs=EPOCHS, rate=RATE)


def pseudo_scores(space: SearchSpace, belief: Belief, vectors: Sequence[RankVector]) -> Floats:
    """What the prior expects of ``vectors``, in standard deviations around 0, ``(n,)``.

    Each layer saturates hyperbolically from 0 at the lowest rank to its worth at the mean rank.
    """
    ranks = np.array([vector.ranks for vector in vectors], dtype=np.float64) - space.ranks[0]
    ranks = np.maximum(ranks, 0.0)  # a layer may be unable to use even the lowest rank
    mean = space.max_parameters / sum(space.costs) - space.ranks[0]
    half = HALF * mean if mean > 0.0 else 1.0
    scores = (ranks / (ranks + half)) @ np.exp(np.array(belief.log_worth))
    return np.asarray((scores - scores.mean()) / (scores.std() or 1.0))


def online(learned_offline: Perceptron, trained: TrainingSet) -> Perceptron:
    """Go on training, on all trials so far."""
    return learned_offline.trained(trained.features(), trained.scores, epochs=EPOCHS, rate=RATE)


def _left_out_error(learned_offline: Perceptron, trained: TrainingSet) -> float:
    """Root mean square error of predictions of trials that were left out."""
    errors = np.zeros(len(trained))
    for fold in range(min(FOLDS, len(trained))):
        left_out = np.arange(fold, len(trained), FOLDS)
        network = online(learned_offline, trained.without(left_out))
        predicted = network(trained.features()[left_out])
        errors[left_out] = predicted - trained.scores[left_out]
    return float(np.sqrt(np.mean(errors**2)))


def _converged(state: ModelState, fitted: Fitted[PerformanceModel]) -> bool:
    """Whether what was learned before the latest trial predicted its score."""
    trained = fitted.trained
    earlier = online(
        once(state, "rankadaptor offline", lambda: offline(state)),
        trained.without(np.array([len(trained) - 1])),
    )
    predicted = float(earlier(trained.features()[-1:])[0])
    return abs(predicted - float(trained.scores[-1])) <= TOLERANCE
