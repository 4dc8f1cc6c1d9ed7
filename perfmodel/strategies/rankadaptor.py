"""``rankadaptor``: the published method, as far as it is known (docs/decisions/0007)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.belief import Belief
from perfmodel.allocation.random_vectors import random_vectors
from perfmodel.arrays import Floats
from perfmodel.regressors.apprentice import RATE, ROWS, Apprentice, Unit, rounds
from perfmodel.regressors.perceptron import Perceptron
from perfmodel.state import ModelState
from perfmodel.strategies.candidates import neighbours, random_candidates
from perfmodel.strategies.memory import once, put, take
from perfmodel.strategies.modelled import Fitted, Modelled
from perfmodel.strategies.observed import Observed
from perfmodel.strategies.random import fresh_vector
from perfmodel.strategies.swap import best_seen
from perfmodel.strategies.training_set import LEAST_SCORES_TO_LEARN, MinMaxScaling, TrainingSet
from rankspace import Observation, RankVector, SearchSpace
from rankspace.observation import Taught

HIDDEN = (32, 32, 32)
EPOCHS = 200

CANDIDATES = 64
"""Drawn per round; the best predicted one is tried."""

ROUNDS = 4
"""Latest rounds, of a trial each or of more in a long search, whose prediction errors tell whether
the search has converged."""

TOLERANCE = 0.5
"""Root mean square of these errors, in standard deviations of the scores, up to which it has: three
quarters of their variance are foretold."""

FIRST = 8
"""Random vectors before the perceptron chooses."""

PSEUDO = 256
"""Random vectors the perceptron is trained on offline, scored by the meta-learned prior."""

HALF = 0.5
"""Of the mean rank above the lowest: where a layer has half of its worth, in a pseudo score."""


@dataclass(frozen=True)
class PerformanceModel:
    """The paper's f: rank vector to score.

    Attributes:
        network: Learned offline, then trial by trial.
        error: Root mean square error of its latest rounds' predictions, each made before the trial
            was learned, in standard deviations of the scores.
        has_converged: Whether the latest ones held.
    """

    network: Perceptron
    error: float
    has_converged: bool

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean, and the same error everywhere, ``(n,)`` each."""
        return self.network(features), np.full(len(features), self.error)


class RankAdaptor(Modelled[PerformanceModel]):
    """Random vectors, then the best predicted of some random candidates, round after round."""

    source = "Zhou et al. 2025 (RankAdaptor, arXiv 2406.15734); see docs/decisions/0007"
    name = "rankadaptor"
    begins = FIRST

    def opening(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> RankVector:
        """Return a random vector; the paper's search does not begin at uniform."""
        return fresh_vector(state, pending, rng)

    def regressor(self, state: ModelState, trained: TrainingSet) -> PerformanceModel:
        apprentice = online(state)
        errors = len(apprentice.errors)
        error = apprentice.root_mean_square(errors)
        return PerformanceModel(
            apprentice.within(Unit(trained.centre, trained.scale)),
            1.0 if error is None else error,
            has_converged(apprentice),
        )

    def choose(
        self,
        state: ModelState,
        fitted: Fitted[PerformanceModel],
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> tuple[RankVector, str] | None:
        """Predict random candidates; once converged, neighbours of the best measured vector."""
        if fitted.regressor.has_converged:
            drawn = neighbours(state, [best_seen(state)], CANDIDATES, rng)
        else:
            drawn = random_candidates(state, CANDIDATES, rng)
        new = [vector for vector in drawn if vector not in pending and vector not in state.tried]
        if not new:
            return None
        best = int(np.argmax(fitted(new)[0]))
        kind = "random ones"
        if fitted.regressor.has_converged:
            kind = f"neighbours of the best, as the last {ROUNDS} rounds were foretold"
        return new[best], f"best predicted of {len(new)} {kind}"

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """The best measured vectors, as in the paper."""
        return Observed().leaders(state, count)


def offline(state: ModelState) -> Perceptron:
    """Return random weights, trained on trials of other studies if there are some.

    Else on the meta-learned prior's opinion, if there is one.
    """
    scaling = MinMaxScaling.of(state.space)
    rng = np.random.default_rng(state.seed)
    fresh = Perceptron.fresh([len(scaling.free), *HIDDEN], rng)
    if state.taught is not None:
        vectors, scores = _rows_of(state.taught)
    elif state.belief is not None:
        vectors = random_vectors(state.space, PSEUDO, state.seed)
        scores = pseudo_scores(state.space, state.belief, vectors)
    else:
        return fresh
    features = np.minimum(scaling(vectors), 1.0)  # theirs may be ranks beyond the highest of here
    return fresh.trained(features, scores, epochs=EPOCHS, rate=RATE)


def _rows_of(taught: Taught) -> tuple[tuple[RankVector, ...], Floats]:
    return tuple(map(RankVector, taught.vectors)), np.array(taught.scores, dtype=np.float64)


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


@dataclass(frozen=True)
class Schooling:
    """How far the learning has come; ``seen`` are the trials it learned from."""

    apprentice: Apprentice
    seen: tuple[Observation, ...] = ()


def online(state: ModelState) -> Apprentice:
    """Go on from the weights at hand, round by round, with what was not learned yet.

    A round is what the trials up to it say, so their batches change nothing. What another state
    has left is gone on with if its trials are the first of these.
    """
    run: Schooling | None = take(state, "schooling of rankadaptor")
    if run is None or run.seen != state.scored[: len(run.seen)]:
        run = Schooling(Apprentice(once(state, "rankadaptor offline", lambda: offline(state))))
    for count in rounds(LEAST_SCORES_TO_LEARN, len(state.scored)):
        if count > len(run.seen):
            run = _next(state, run, state.scored[:count])
    put(state, "schooling of rankadaptor", run)
    return run.apprentice


def _next(state: ModelState, run: Schooling, seen: tuple[Observation, ...]) -> Schooling:
    """The next round, which knows of no trial after those ``seen``."""
    trained = TrainingSet.of(replace(state, observations=seen))
    assert trained is not None, "two trials have a score, and some layer is free"
    unit, fresh = Unit(trained.centre, trained.scale), len(seen) - len(run.seen)
    latest = max(ROWS, fresh)
    features = trained.scaling(trained.vectors[-latest:])
    learned = run.apprentice.taught(features, trained.scores[-latest:], unit, fresh)
    return Schooling(learned, seen)


def has_converged(apprentice: Apprentice) -> bool:
    """Whether the predictions of the last rounds held, none of them of a first vector."""
    error = apprentice.root_mean_square(ROUNDS)
    return apprentice.count >= FIRST + ROUNDS and error is not None and error <= TOLERANCE
