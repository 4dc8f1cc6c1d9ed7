"""Two models, weighed by what they foretell: whom to believe, whose turn it is, the answer."""

from collections.abc import Sequence

import numpy as np
import pytest

from perfmodel import ModelState, digest, leaders, learn, predict, propose, random_vectors, start
from perfmodel.additive.levelled import ROWS, looked_at
from perfmodel.arrays import Floats
from perfmodel.strategies.blending.beliefs import Beliefs
from perfmodel.strategies.blending.review import LEAST, due
from rankspace import Layer, Observation, RankVector, SearchSpace

pytestmark = pytest.mark.slow

LAYERS = tuple(Layer(f"{at}", 5 + at % 3) for at in range(10))
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4, 8), 3 * sum(layer.parameters_per_rank for layer in LAYERS))


def adding_up(vectors: Sequence[RankVector]) -> Floats:
    ranks = np.array([vector.ranks for vector in vectors])
    worth = np.random.default_rng(5).exponential(1.0, len(LAYERS))
    return np.asarray(ranks / (ranks + 1.5) @ worth)


def apart(vectors: Sequence[RankVector]) -> Floats:
    """Half of the layers are hurt by every rank, and nearly as much as the others gain."""
    ranks = np.array([vector.ranks for vector in vectors])
    return np.asarray(np.log1p(ranks / 2.0) @ np.random.default_rng(6).standard_normal(len(LAYERS)))


def told(scores: Floats, vectors: Sequence[RankVector]) -> list[Observation]:
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(scores))
    pairs = zip(vectors, (scores + noise).tolist(), strict=True)
    return [Observation(vector, score) for vector, score in pairs]


VECTORS = random_vectors(SPACE, 40, seed=3)


def state_of(seen: Sequence[Observation], trials: int = 60) -> ModelState:
    return learn(start(SPACE, strategy="blend", trials=trials), seen)


def rho(seen: Sequence[Observation]) -> float:
    beliefs = Beliefs.of(state_of(seen))
    assert beliefs is not None
    return beliefs.review.rho


def test_who_foretells_better_is_believed_more() -> None:
    assert rho(told(adding_up(VECTORS), VECTORS)) < 0.7
    assert rho(told(apart(VECTORS), VECTORS)) > 1.0


def test_the_prediction_lies_between_those_of_both() -> None:
    state = state_of(told(adding_up(VECTORS), VECTORS))
    beliefs, fresh = Beliefs.of(state), random_vectors(SPACE, 20, seed=8)
    assert beliefs is not None
    ours, theirs = beliefs.posterior.predict(fresh)[0], beliefs.process.predict(fresh)[0]
    mean, std = predict(state, fresh)
    assert (mean >= np.minimum(ours, theirs) - 1e-9).all()
    assert (mean <= np.maximum(ours, theirs) + 1e-9).all()
    assert (std > 0.0).all()
    assert np.corrcoef(mean, adding_up(fresh))[0, 1] > 0.9


def test_trials_are_judged_at_their_own_fidelity_and_seed() -> None:
    """A stop half way, or a seed of one's own, costs a level; it is no sign of a bad model."""
    plain = told(adding_up(VECTORS), VECTORS)
    stopped = [
        Observation(o.rank_vector, (o.score or 0.0) - 30.0 * (at % 3 == 0), 0, (0.5, 1, 1)[at % 3])
        for at, o in enumerate(plain)
    ]
    seeded = [
        Observation(o.rank_vector, (o.score or 0.0) - 9.0 * (at % 4 == 0), 77 * (at % 4 == 0))
        for at, o in enumerate(plain)
    ]
    for other in (stopped, seeded):
        assert rho(other) < 1.0
        mean, _ = predict(state_of(other), VECTORS)
        assert mean.mean() == pytest.approx(adding_up(VECTORS).mean(), abs=0.3)


def test_diverged_trials_are_evidence_for_nobody_and_no_reason_to_give_up() -> None:
    plain = told(adding_up(VECTORS), VECTORS)
    lost = [
        Observation(o.rank_vector, (o.score or 0.0) - 40.0) if at % 10 == 4 else o
        for at, o in enumerate(plain)
    ]
    assert rho(lost) < 1.0
    first = leaders(state_of(lost), 1)
    assert first != (SPACE.uniform(),)
    assert adding_up(first)[0] > adding_up([SPACE.uniform()])[0]
    failed = [Observation(o.rank_vector, None) if at % 10 == 4 else o for at, o in enumerate(plain)]
    assert leaders(state_of(failed), 1) != (SPACE.uniform(),)


def test_an_answer_that_uniforms_own_trial_refutes_does_not_lead() -> None:
    """No sum over layers knows that only the uniform vector is any good; its trial does."""
    uniform = SPACE.uniform()
    seen = told(0.2 * adding_up(VECTORS), VECTORS)
    best = max(one.score or 0.0 for one in seen)
    good = state_of([Observation(uniform, float(0.2 * adding_up([uniform])[0])), *seen])
    assert leaders(good, 1) != (uniform,)
    alone = state_of([Observation(uniform, best + 3.0), *seen])
    assert leaders(alone, 1) == (uniform,)
    assert len(set(leaders(alone, 4))) == 4
    diverged = state_of([Observation(uniform, best - 30.0), *seen])
    assert leaders(diverged, 1) != (uniform,)


def test_leaders_come_best_first_and_none_is_predicted_worse_than_uniform_ahead_of_it() -> None:
    state = state_of(told(adding_up(VECTORS), VECTORS))
    found = leaders(state, 6)
    mean, _ = predict(state, [*found, SPACE.uniform()])
    assert mean[:-1].tolist() == sorted(mean[:-1].tolist(), reverse=True)
    assert mean[0] > mean[-1]


def test_leaders_are_the_same_however_many_are_asked_for_and_follow_from_the_trials() -> None:
    seen = told(adding_up(VECTORS), VECTORS)
    state = state_of(seen)
    found = leaders(state, 6)
    assert [leaders(state, count) for count in range(1, 7)] == [found[:n] for n in range(1, 7)]
    assert leaders(state_of(seen), 6) == found
    better = Observation(random_vectors(SPACE, 1, seed=9)[0], 40.0)
    assert leaders(learn(state, [better]), 6) == leaders(state_of([*seen, better]), 6) != found


def whose(state: ModelState, count: int) -> list[bool]:
    """Whether the process proposed, trial by trial."""
    found = []
    for _ in range(count):
        state, (proposal,) = propose(state)
        found.append("process" in proposal.reason)
        score = float(adding_up([proposal.rank_vector])[0])
        state = learn(state, [Observation(proposal.rank_vector, score)])
    return found


def test_turns_are_taken_until_half_time_and_follow_from_the_trials_alone() -> None:
    seen = told(adding_up(VECTORS), VECTORS)
    assert whose(state_of(seen[:16], trials=60), 6) == [False, True] * 3
    again = learn(state_of(seen[:7], trials=60), seen[7:16])
    assert whose(again, 4) == [False, True] * 2
    late = whose(state_of(seen[:34], trials=60), 4)
    assert late == [False] * 4  # the trials say that the layers add up


def test_an_extension_goes_on_with_what_was_begun() -> None:
    """Half time and the design are those of the study as it was submitted."""
    seen = told(adding_up(VECTORS), VECTORS)
    submitted = state_of(seen[:34], trials=40)
    extended = submitted.extended(200)
    assert (extended.trials, extended.pace) == (240, 40)
    assert extended.setup.design == submitted.setup.design
    assert whose(extended, 4) == whose(state_of(seen[:34], trials=40), 4)
    assert extended.extended(-200) == submitted.extended(0)
    assert ModelState.from_bytes(extended.to_bytes()) == extended


def test_reviews_are_few_and_bounded() -> None:
    assert [due(n) for n in (0, 9, 10, 14, 15, 99, 104)] == [0, 0, 10, 10, 15, 95, 100]
    times = {due(n) for n in range(LEAST, 3000)}
    assert len(times) < 80
    assert len(looked_at(5000)) == ROWS
    assert looked_at(5000)[-1] == 4999


def test_all_that_a_claim_would_wait_for_is_digested_before() -> None:
    state = state_of(told(adding_up(VECTORS), VECTORS))
    while not digest(state):
        pass
    kept = vars(state.setup)["memory of strategies"]
    assert {"beliefs of blend", "review of blend"} <= set(kept)
