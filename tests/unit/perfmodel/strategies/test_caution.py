"""No answer leads that uniform's own trials say is worse than uniform."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench.proposers.problems.families import problem
from perfmodel import ModelState, leaders, learn, predict, random_vectors, start
from perfmodel.additive.posterior import Posterior
from perfmodel.allocation.grid import on_grid
from perfmodel.arrays import Floats
from perfmodel.strategies.additive import Additive
from perfmodel.strategies.blending.beliefs import Beliefs
from perfmodel.strategies.caution import BLOCK, cautious, lacking
from perfmodel.strategies.climbing.turns import LONG
from rankspace import Layer, Observation, RankVector, SearchSpace

pytestmark = pytest.mark.slow

EVEN, BOLD, TIMID = RankVector((2, 2)), RankVector((4, 0)), RankVector((3, 1))


def gains(vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
    known = {EVEN: (0.0, 0.0), BOLD: (3.0, 2.5), TIMID: (2.0, 0.5)}
    mean, std = zip(*(known[vector] for vector in vectors), strict=True)
    return np.array(mean), np.array(std)


@pytest.mark.parametrize(
    ("less", "order"),
    [
        (-1.0, (BOLD, TIMID, EVEN)),
        (0.0, (BOLD, TIMID, EVEN)),
        (0.5, (BOLD, TIMID, EVEN)),  # 3 - 2.5 is just enough
        (0.6, (TIMID, BOLD, EVEN)),
        (1.6, (EVEN, BOLD, TIMID)),
    ],
)
def test_the_first_that_is_safely_above_what_is_lacking_leads(
    less: float, order: tuple[RankVector, ...]
) -> None:
    assert cautious((BOLD, TIMID, EVEN), EVEN, gains, less) == order
    without = cautious((BOLD, TIMID), EVEN, gains, less)
    assert without == tuple(v for v in order if v != EVEN or order[0] == EVEN)


def test_an_optimum_worse_than_uniform_does_not_lead_where_uniforms_trial_tells() -> None:
    """Samples of the additive model alone, of layers that no sum of rising curves fits."""
    posed, count = problem("peaks", 32, 707), 50
    state = start(posed.space, seed=707, trials=count)
    for trial in range(count):
        offer = Additive().sampled(state, (), state.generator(trial))
        score = posed.observe(offer.rank_vector, trial)
        state = learn(state, [Observation(offer.rank_vector, score, 707)])
    assert state.posterior is not None
    uniform, tables = posed.space.uniform(), state.posterior.mean_tables()
    optimum = state.setup.allocator.best(on_grid(tables))
    assert predict(state, [optimum])[0] > predict(state, [uniform])[0]
    assert posed.score(optimum) < posed.uniform_score - 10.0 * posed.noise.deviation
    leader, *others = leaders(state, 4)
    assert posed.score(leader) >= posed.uniform_score
    assert optimum in others
    assert len({leader, *others}) == 4


SPACE = SearchSpace(tuple(Layer(f"{b}.o_proj", 5, b, "o_proj") for b in range(6)), (0, 1, 2, 4), 60)


def summed(score_of_uniform: float, repeats: int = 1) -> ModelState:
    """Scores that add up but for uniform's own, which is so much above its sum."""
    vectors = random_vectors(SPACE, 24, seed=3)
    uniform = SPACE.uniform()
    scores = [float(np.sqrt(vector.ranks) @ np.arange(6)) for vector in [*vectors, uniform]]
    seen = [Observation(v, s) for v, s in zip(vectors, scores, strict=False)]
    own = [Observation(uniform, scores[-1] + score_of_uniform)] * repeats
    return learn(start(SPACE, trials=LONG - 1), seen + own)  # no turns in so short a search


def less_of(state: ModelState) -> float:
    posterior, uniform = state.posterior, SPACE.uniform()
    assert posterior is not None
    return lacking(posterior, state.scored, uniform, float(posterior.means([uniform])[0]))


def test_what_is_lacking_is_what_uniforms_trials_scored_above_the_model() -> None:
    assert less_of(summed(0.0)) == pytest.approx(0.0, abs=1.0)
    assert less_of(summed(4.0)) == pytest.approx(4.0, abs=1.0)
    assert less_of(summed(-40.0)) < 0.0
    never = summed(0.0, repeats=0)
    assert less_of(never) == 0.0
    assert leaders(never, 1) == leaders(summed(0.0), 1) != (SPACE.uniform(),)


def test_gains_are_those_of_the_joint_distribution() -> None:
    state = summed(0.5)
    beliefs = Beliefs.of(learn(start(SPACE, strategy="blend", trials=40), state.observations))
    assert beliefs is not None
    vectors, uniform = random_vectors(SPACE, 5, seed=9), SPACE.uniform()
    ours, theirs = beliefs.posterior, beliefs.process
    for gains_of, predict_of in (
        (ours.gains, ours.predict),
        (theirs.gains, theirs.predict),
        (beliefs.gains, beliefs.predict),
    ):
        mean, std = gains_of([*vectors, uniform], uniform)
        both, _ = predict_of([*vectors, uniform])
        assert mean == pytest.approx(both - both[-1], abs=1e-9)
        assert (std[:-1] > 0.0).all()
        assert std[-1] == pytest.approx(0.0, abs=1e-6)
    single = [beliefs.posterior.difference(vector, uniform) for vector in vectors]
    assert pytest.approx(np.stack(beliefs.posterior.gains(vectors, uniform))) == np.array(single).T


def test_the_process_knows_the_deviation_of_a_difference() -> None:
    """By the variance of a sum: that of the difference follows from a half way point's."""
    state = learn(start(SPACE, strategy="blend", trials=40), summed(0.5).observations)
    beliefs = Beliefs.of(state)
    assert beliefs is not None
    regressor = beliefs.process.regressor
    features = np.random.default_rng(0).random((4, 6))
    prior = regressor.kernel(features, features)
    known = regressor.kernel(features, regressor.features) @ regressor.whiten
    covariance = regressor.amplitude * (prior - known @ known.T)
    change = np.array([[1.0, 0.0, 0.0, -1.0], [0.0, 1.0, 0.0, -1.0], [0.0, 0.0, 1.0, -1.0]])
    _, std = regressor.gains(features[:3], features[3:])
    assert std**2 == pytest.approx(np.diag(change @ covariance @ change.T), rel=1e-6)


def test_the_posterior_orders_by_the_mean_that_it_predicts() -> None:
    posterior = summed(0.5).posterior
    assert isinstance(posterior, Posterior)
    vectors = random_vectors(SPACE, 5, seed=9)
    assert posterior.means(vectors) == pytest.approx(posterior.predict(vectors)[0], abs=1e-12)


def test_of_very_many_vectors_no_more_are_looked_at_than_decide() -> None:
    ahead = [RankVector((at // 256, at % 256)) for at in range(5 * BLOCK)]
    asked: list[int] = []

    def falling(vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        asked.append(len(vectors))
        means = np.array([3.0 - ahead.index(vector) / BLOCK for vector in vectors])
        return means, np.full(len(vectors), 1.5)

    assert cautious(ahead, EVEN, falling, 1.0)[0] == ahead[0]
    assert asked == [BLOCK]
    assert cautious(ahead, EVEN, falling, 2.1)[0] == EVEN  # the second block's means are too low
    assert asked == [BLOCK, BLOCK, BLOCK]
