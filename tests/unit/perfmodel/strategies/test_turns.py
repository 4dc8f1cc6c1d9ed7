"""Whose turn it is follows from what the trials of each scored, and from nothing else."""

import pytest

from bench.proposers.problems.families import problem
from perfmodel import ModelState, digest, leaders, learn, propose, start
from perfmodel.strategies.additive import improving
from perfmodel.strategies.climbing.turns import AFRESH, LATEST, LONG, Turns
from rankspace import Layer, Observation, SearchSpace

BEGUN = Turns(uniform=1.0)


def whose(turns: Turns, scores: list[float]) -> str:
    """Of the trials that scored so: a for the additive model, p for the process."""
    found = ""
    for score in scores:
        found += "ap"[turns.is_for_process]
        turns = turns.after([score])
    return found


def test_the_additive_model_goes_on_while_its_trials_reach_above_uniform() -> None:
    assert whose(BEGUN, [2.0] * 9) == "a" * 9
    assert whose(BEGUN, [0.0, 0.0, 2.0, 0.0, 0.0, 0.0]) == "aaaaaa"
    assert whose(BEGUN, [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]) == "aaaaaap"


def test_the_process_gets_two_turns_of_three_where_they_stay_below() -> None:
    assert whose(BEGUN, [0.0] * 9) == "aaappappa"
    assert whose(BEGUN, [0.0, 0.0, 0.0, 5.0, 5.0, 3.0, 3.0]) == "aaappap"  # ahead by its own trials


def test_the_additive_model_is_heard_again_and_may_take_over() -> None:
    assert whose(BEGUN, [0.0, 0.0, 0.0, 2.0, 2.0, 9.0, 2.0, 2.0]) == "aaappaaa"


def test_trials_under_way_count_as_turns_that_say_nothing() -> None:
    behind = BEGUN.after([0.0] * LATEST)
    assert [behind.awaiting(count).is_for_process for count in range(4)] == [
        True,
        True,
        False,
        True,
    ]
    assert not BEGUN.awaiting(9).is_for_process


def test_an_answer_is_doubted_whose_models_latest_trials_are_not_near_the_best() -> None:
    begun = BEGUN.after([1.0, 3.0, 9.0])
    assert [begun.comes_near(best) for best in (4.0, 5.0, 5.1)] == [True, True, False]
    assert not BEGUN.after([0.0, 0.0, 9.0]).comes_near(1.0)  # by the median, not the best
    behind = BEGUN.after([0.0, 0.0, 0.0, *[4.0, 4.0, 3.0] * 3])
    assert (behind.ours, behind.theirs) == ((3.0,) * 3, (4.0,) * 3)
    assert not behind.comes_near(4.0)


SPACE = SearchSpace(tuple(Layer(f"{at}", 5 + at % 3) for at in range(10)), (0, 1, 2, 4, 8), 180)


def scored(scores: list[float]) -> ModelState:
    """A search of trials that score so, the first of them uniform's."""
    state = start(SPACE, trials=LONG)
    for score in scores:
        state, (offer,) = propose(state)
        state = learn(state, [Observation(offer.rank_vector, score)])
    return state


def test_the_design_is_nobodys_and_turns_are_forgotten_after_a_while() -> None:
    design = len(start(SPACE, trials=LONG).setup.design)
    assert Turns.of(scored([1.0, 2.0])) == Turns(1.0)
    state = scored([1.0, *[0.1 * at for at in range(design + 1)]])
    turns = Turns.of(state)
    assert turns.uniform == 1.0
    assert turns.ours == pytest.approx((0.1 * (design - 1), 0.1 * design))
    seen = [Observation(vector, -1.0) for vector in [SPACE.cheapest()] * AFRESH]
    assert Turns.of(learn(state, seen)).ours == (-1.0, -1.0)


def test_a_short_search_has_no_turns_and_its_first_samples_say_nothing() -> None:
    state = start(SPACE, trials=LONG - 1)
    for score in (5.0, *[0.0] * (LONG - 3)):
        state, (offer,) = propose(state)
        assert not offer.reason.startswith("Best of the process")
        state = learn(state, [Observation(offer.rank_vector, score)])
    assert Turns.of(state) == Turns(5.0)


def searched(family: str, seed: int, count: int) -> tuple[ModelState, str]:
    posed = problem(family, 32, seed)
    state, turns = start(posed.space, seed=seed, trials=50), ""
    for trial in range(count):
        state, (offer,) = propose(state)
        turns += "ap"[offer.reason.startswith("Best of the process")]
        score = posed.observe(offer.rank_vector, trial)
        state = learn(state, [Observation(offer.rank_vector, score, seed)])
    return state, turns


def test_layers_that_add_up_are_searched_by_the_additive_model_alone() -> None:
    _, turns = searched("separable", 5000, 20)
    assert turns == "a" * 20


def test_where_the_worst_layers_decide_the_process_climbs_and_its_best_trial_is_answered() -> None:
    """The additive model's own samples are worse than uniform at first, and its answer throughout.

    Nobody knows its optimum better than the process knows a trial of its own.
    """
    state, turns = searched("worst-few", 5000, 30)
    assert turns.count("p") > 10
    posed, leader = problem("worst-few", 32, 5000), leaders(state, 1)[0]
    assert leader in state.tried
    assert posed.regret(leader, posed.best_score()) < 70.0
    again = learn(start(posed.space, seed=5000, trials=50), state.observations)
    assert propose(again.drawn(state.draws))[1] == propose(state)[1]


def test_what_the_process_would_climb_while_a_claim_waits_is_climbed_before() -> None:
    state, _ = searched("worst-few", 5000, 14)
    assert Turns.of(state).is_for_process
    known = learn(start(state.space, seed=5000, trials=50), state.observations)
    while not digest(known):
        pass
    assert "pool" in vars(improving(known))


def test_a_pending_vector_is_not_offered_again() -> None:
    state, _ = searched("worst-few", 5000, 14)
    first = improving(state).vector([])
    assert first is not None
    second = improving(state).vector([first])
    assert second not in {None, first, *state.tried}
    assert state.space.affords(second or first)
