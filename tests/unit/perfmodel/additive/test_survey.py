"""What a survey is worth to a search, and what one costs that misleads."""

from collections.abc import Sequence

import numpy as np
import pytest

import perfmodel
from perfmodel import ModelState, random_vectors
from perfmodel.additive.belief import Belief
from perfmodel.additive.survey import ROUNDS, survey_belief
from rankspace import Layer, Observation, RankVector, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.observation import Surveyed

pytestmark = pytest.mark.slow

LAYERS, SCORED, TRIALS, NOISE = 24, 60, 6, 0.7
SPACE = SearchSpace(
    tuple(Layer(f"layer.{i}", 10 + 3 * (i % 4)) for i in range(LAYERS)), (0, 1, 2, 4, 8), 600
)
VECTORS = random_vectors(SPACE, SCORED, 5)


def worth(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0.0, 1.2, LAYERS)


def truth(vector: RankVector, layers: np.ndarray) -> float:
    return float(layers @ (1.0 - np.exp(-np.array(vector.ranks) / 2.0)))


def survey(seed: int, *, permuted: bool = False) -> tuple[Surveyed, ...]:
    """Half the effects, another offset, and each layer's worth wrong by a factor of its own."""
    rng = np.random.default_rng([seed, 1])
    wrong = worth(seed) * rng.lognormal(0.0, 0.5, LAYERS)
    scores = [0.5 * truth(vector, wrong) - 7.0 for vector in VECTORS]
    order = rng.permutation(SCORED) if permuted else range(SCORED)
    return tuple(Surveyed(v, scores[at]) for v, at in zip(VECTORS, order, strict=True))


def gain(seed: int, surveyed: Sequence[Surveyed]) -> float:
    """What the model's answer gains over uniform after ``TRIALS`` trials."""
    state = perfmodel.start(SPACE, seed=seed, trials=TRIALS)
    state = perfmodel.inform(state, surveyed) if surveyed else state
    rng, layers = np.random.default_rng([seed, 2]), worth(seed)
    for _ in range(TRIALS):
        state, (proposal,) = perfmodel.propose(state)
        score = truth(proposal.rank_vector, layers) + NOISE * float(rng.standard_normal())
        state = perfmodel.learn(state, [Observation(proposal.rank_vector, score)])
    (answer,) = perfmodel.leaders(state, 1)
    return truth(answer, layers) - truth(SPACE.uniform(), layers)


def mean_gains(seeds: Sequence[int], **how: bool) -> float:
    return float(np.mean([gain(seed, survey(seed, **how)) for seed in seeds]))


def test_a_survey_finds_more_and_a_permuted_one_loses_little() -> None:
    seeds = range(4)
    plain = float(np.mean([gain(seed, ()) for seed in seeds]))
    assert mean_gains(seeds) > 1.1 * plain > 0.0
    assert mean_gains(seeds, permuted=True) > 0.85 * plain


def test_the_belief_orders_the_layers_whatever_offset_and_slope() -> None:
    told = survey_belief(SPACE, survey(0), None)
    far = [Surveyed(one.rank_vector, 40.0 * one.score + 1e6) for one in survey(0)]
    moved = survey_belief(SPACE, far, None)
    assert told is not None
    assert moved is not None
    assert np.corrcoef(told.log_worth, np.log(worth(0)))[0, 1] > 0.6
    assert moved.log_worth == pytest.approx(told.log_worth, abs=0.02)
    assert sum(told.log_worth) == pytest.approx(0.0, abs=1e-9)


def test_scores_in_which_no_layer_shows_say_next_to_nothing() -> None:
    told, noise = (
        survey_belief(SPACE, survey(0), None),
        survey_belief(SPACE, survey(0, permuted=True), None),
    )
    assert told is not None
    heard = noise.log_worth if noise else (0.0,)
    assert max(np.abs(heard)) < 0.2 * max(np.abs(told.log_worth))


@pytest.mark.parametrize("scores", [[1.0] * SCORED, [3.0]], ids=["all alike", "too few"])
def test_a_survey_that_says_nothing_leaves_the_prior(scores: list[float]) -> None:
    prior = Belief((0.0,) * LAYERS, "own")
    said = [Surveyed(v, s) for v, s in zip(VECTORS, scores, strict=False)]
    assert survey_belief(SPACE, said, prior) is prior


def prior_of(seed: int) -> Belief:
    """What somebody who knows these layers well would have said before."""
    logs = np.log(worth(seed))
    return Belief(tuple((logs - logs.mean()).tolist()), "own")


def noisy(seed: int, sd: float) -> list[Surveyed]:
    rng = np.random.default_rng([seed, 3])
    return [
        Surveyed(one.rank_vector, one.score + sd * float(rng.standard_normal()))
        for one in survey(seed)
    ]


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_a_survey_without_content_leaves_the_prior_whole(seed: int) -> None:
    """Also where chance foretells a little of it, as of the last one's."""
    prior = prior_of(seed)
    assert survey_belief(SPACE, survey(seed, permuted=True), prior) is prior


def test_what_a_survey_does_not_foretell_is_left_to_the_prior() -> None:
    """One that is half noise hides little of a right prior; one without noise takes over."""
    prior = prior_of(0)
    heard = survey_belief(SPACE, noisy(0, 2.0), prior)
    assert heard is not None
    assert heard is not prior
    kept = np.polyfit(prior.log_worth, heard.log_worth, 1)[0]
    assert kept > 0.6
    assert heard.prior == "own, survey"
    other = survey_belief(SPACE, survey(0), prior_of(1))
    assert other is not None
    assert np.corrcoef(other.log_worth, np.log(worth(0)))[0, 1] > 0.6


def test_what_little_a_survey_foretells_does_not_shorten_the_design() -> None:
    state = perfmodel.inform(perfmodel.start(SPACE), survey(6, permuted=True))
    assert not perfmodel.is_heard(state)
    assert state.setup.design == perfmodel.start(SPACE).setup.design
    assert perfmodel.is_heard(perfmodel.inform(perfmodel.start(SPACE), survey(6)))


@pytest.mark.parametrize(("count", "score"), [(1, -1e6), (1, -20.0), (3, -1e3)])
def test_scores_that_diverged_do_not_cost_what_the_others_say(count: int, score: float) -> None:
    said = list(survey(0))
    clean = survey_belief(SPACE, said, None)
    for at in range(count):
        said[7 * at] = Surveyed(said[7 * at].rank_vector, score)
    found = survey_belief(SPACE, said, None)
    assert clean is not None
    assert found is not None
    assert np.std(found.log_worth) > 0.7 * np.std(clean.log_worth)
    assert np.corrcoef(found.log_worth, np.log(worth(0)))[0, 1] > 0.7


def test_a_survey_is_learned_in_pieces_and_says_the_same() -> None:
    state, whole = (perfmodel.inform(perfmodel.start(SPACE), survey(0)) for _ in range(2))
    pieces = 1
    while not perfmodel.digest(state):
        assert "setup" not in vars(state)
        pieces += 1
    assert pieces > ROUNDS
    assert state.setup.belief == whole.setup.belief
    further = perfmodel.learn(state, [])
    assert vars(further)["setup"] is state.setup


def test_pieces_go_on_where_those_before_ended_whatever_is_learned_meanwhile() -> None:
    state = perfmodel.inform(perfmodel.start(SPACE), survey(0))
    perfmodel.digest(state)
    perfmodel.digest(state)
    seen = [Observation(VECTORS[0], -1.0)]
    begun = vars(state)["_hearing"]
    assert vars(perfmodel.learn(state, seen))["_hearing"] is begun


def test_a_space_without_a_choice_has_nothing_to_be_told() -> None:
    fixed = SearchSpace(SPACE.layers, (0, 1), 600, {layer.name: 1 for layer in SPACE.layers})
    said = [Surveyed(RankVector((1,) * LAYERS), float(s)) for s in range(SCORED)]
    assert survey_belief(fixed, said, None) is None


def test_huge_scores_are_no_overflow() -> None:
    said = [Surveyed(v, s * 1e5) for v, s in zip(VECTORS, range(SCORED), strict=True)]
    found = survey_belief(SPACE, said, None)
    assert found is None or np.isfinite(found.log_worth).all()


def test_a_state_with_a_survey_is_its_bytes_and_one_without_says_nothing_of_it() -> None:
    plain = perfmodel.start(SPACE, trials=TRIALS)
    told = perfmodel.inform(plain, survey(0))
    again = ModelState.from_bytes(told.to_bytes())
    assert again == told
    assert perfmodel.propose(again, count=3)[1] == perfmodel.propose(told, count=3)[1]
    assert b"surveyed" not in plain.to_bytes()


def test_a_vector_of_another_space_is_refused() -> None:
    state = perfmodel.start(SPACE)
    with pytest.raises(InvalidInput, match="has 1 ranks for 24 layers"):
        perfmodel.inform(state, [Surveyed(RankVector((1,)), 0.0)])


def test_trials_come_first_where_a_survey_is_heard_later() -> None:
    """Later scores are learned as if they had been known from the beginning."""
    seen = [Observation(v, truth(v, worth(0))) for v in VECTORS[:4]]
    first = perfmodel.learn(perfmodel.inform(perfmodel.start(SPACE), survey(0)), seen)
    later = perfmodel.learn(perfmodel.start(SPACE), seen)
    perfmodel.propose(later)
    later = perfmodel.inform(later, survey(0))
    assert first == later
    assert perfmodel.propose(first)[1] == perfmodel.propose(later)[1]


# Further scores, while the search goes on


def searched(seed: int, trials: int) -> ModelState:
    state = perfmodel.inform(perfmodel.start(SPACE, seed=seed, trials=40), survey(seed))
    rng, layers = np.random.default_rng([seed, 2]), worth(seed)
    for _ in range(trials):
        state, (proposal,) = perfmodel.propose(state)
        score = truth(proposal.rank_vector, layers) + NOISE * float(rng.standard_normal())
        state = perfmodel.learn(state, [Observation(proposal.rank_vector, score)])
    return state


def test_the_vectors_to_survey_further_are_good_ones_that_it_has_no_score_of() -> None:
    state = searched(1, 10)
    asked = perfmodel.to_survey(state, 12)
    assert asked == perfmodel.to_survey(state, 12)
    assert len({*asked}) == 12
    assert not {*asked} & {*VECTORS}
    assert all(SPACE.affords(vector) for vector in asked)
    means, _ = perfmodel.predict(state, [*asked, *VECTORS])
    assert means[:12].min() > np.median(means[12:])
    more = perfmodel.inform(state, [Surveyed(vector, -6.0) for vector in asked])
    assert not {*perfmodel.to_survey(more, 12)} & {*asked}


def test_in_a_small_space_none_is_asked_for_that_has_a_score() -> None:
    layers = tuple(Layer(f"layer.{i}", 10) for i in range(4))
    space = SearchSpace(layers, (0, 1, 2), 40)
    told = [Surveyed(v, float(v.ranks[0] - v.ranks[1])) for v in random_vectors(space, 12, 3)]
    state = perfmodel.inform(perfmodel.start(space), told)
    seen = [Observation(one.rank_vector, one.score) for one in told[:6]]
    asked = perfmodel.to_survey(perfmodel.learn(state, seen), 50)
    assert asked
    assert not {*asked} & {one.rank_vector for one in told}


def test_nothing_is_asked_of_a_survey_that_was_not_made_or_before_there_are_trials() -> None:
    assert perfmodel.to_survey(searched(1, 1), 4) == ()
    state = perfmodel.learn(perfmodel.start(SPACE), searched(1, 4).observations)
    assert perfmodel.to_survey(state, 4) == ()


def test_scores_that_come_later_count_as_if_they_had_come_at_once() -> None:
    told, state = survey(1), searched(1, 8)
    late = perfmodel.start(SPACE, seed=1, trials=40)
    late = perfmodel.learn(perfmodel.inform(late, told[:40]), state.observations)
    late = perfmodel.inform(perfmodel.predict(late, VECTORS[:1]) and late, told[40:])
    once = perfmodel.inform(perfmodel.start(SPACE, seed=1, trials=40), told)
    once = perfmodel.learn(once, state.observations)
    assert late == once
    for one, other in zip(
        perfmodel.predict(late, VECTORS), perfmodel.predict(once, VECTORS), strict=True
    ):
        assert one.tolist() == other.tolist()
    assert perfmodel.propose(late)[1] == perfmodel.propose(once)[1]
