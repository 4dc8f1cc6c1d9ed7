"""What a verdict stands for when the whole recipe says something of its own."""

from dataclasses import replace

import pytest

from rankspace import Comparison, RankVector, Verdict
from rankspace.verdict import Answer, RecipeVerdict, RecoveredPair
from rankspace.wire import decode, encode
from tests.verdicts import CHEAPEST, UNIFORM, VERDICT, WINNER

BETTER, OPEN, WORSE = Answer.BETTER, Answer.NO_DIFFERENCE_SHOWN, Answer.WORSE
NOTHING = RankVector((0, 0))


def _versus(answer: Answer) -> Comparison:
    return Comparison(0.1, 0.05, 0.15, 3, answer)


def _verdict(answer: Answer, recipe: Answer | None = None) -> Verdict:
    judged = None if recipe is None else RecipeVerdict(_versus(recipe), (), -3.0, -2.9)
    return replace(VERDICT, answer=answer, versus_uniform=_versus(answer), recipe=judged)


@pytest.mark.parametrize(
    ("trials", "recipe", "exported"),
    [
        (BETTER, None, WINNER),
        (OPEN, None, CHEAPEST),
        (WORSE, None, CHEAPEST),
        (BETTER, BETTER, WINNER),
        (BETTER, OPEN, WINNER),
        (BETTER, WORSE, UNIFORM),
        (OPEN, BETTER, WINNER),
        (OPEN, OPEN, UNIFORM),
        (WORSE, OPEN, UNIFORM),
        (OPEN, WORSE, UNIFORM),
        (WORSE, BETTER, WINNER),
    ],
)
def test_what_is_exported(trials: Answer, recipe: Answer | None, exported: RankVector) -> None:
    assert _verdict(trials, recipe).recovered == exported


def test_a_vector_without_adapters_leaves_nothing_to_export() -> None:
    assert replace(_verdict(OPEN), cheapest_rank_vector=NOTHING).recovered == UNIFORM


@pytest.mark.parametrize(
    ("trials", "recipe", "said"),
    [
        (BETTER, WORSE, "does not last the whole recipe"),
        (BETTER, OPEN, "not shown to last"),
        (OPEN, BETTER, "the whole recipe shows one"),
        (WORSE, BETTER, "the whole recipe shows one"),
        (OPEN, WORSE, "ends with a loss"),
    ],
)
def test_what_contradicts_the_trials_is_said(trials: Answer, recipe: Answer, said: str) -> None:
    assert said in _verdict(trials, recipe).contradiction


@pytest.mark.parametrize(
    ("trials", "recipe"), [(BETTER, None), (BETTER, BETTER), (OPEN, OPEN), (WORSE, OPEN)]
)
def test_what_does_not_contradict_them_is_no_headline(
    trials: Answer, recipe: Answer | None
) -> None:
    assert _verdict(trials, recipe).contradiction == ""


def _paired(*pairs: tuple[float | None, float | None], low: float, high: float) -> RecipeVerdict:
    told = tuple(RecoveredPair(at, *pair) for at, pair in enumerate(pairs))
    found = Comparison((low + high) / 2, low, high, 3, OPEN, failed=len(pairs) - 3)
    return RecipeVerdict(found, told, -2.5, -2.0)


LEADS = 3 * [(-2.5, -2.0)]
TRAILS = 3 * [(-2.0, -2.5)]


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (
            _paired(*LEADS, (-2.5, None), (None, None), low=0.4, high=0.6),
            "the searched ranks lead where both scored, but failed on 1 of 5 seeds on which "
            "uniform ranks did not",
        ),
        (
            _paired(*TRAILS, (None, -2.5), (None, -2.5), low=-0.6, high=-0.4),
            "uniform ranks lead where both scored, but failed on 2 of 5 seeds on which the "
            "searched ranks did not",
        ),
    ],
)
def test_an_answer_that_is_withheld_for_a_failure_says_whose(
    recipe: RecipeVerdict, said: str
) -> None:
    assert said in recipe.sentence
    assert "degrees" not in recipe.sentence
    assert "cannot be told" not in recipe.sentence


def test_what_scatters_too_much_is_not_blamed_on_a_failure() -> None:
    assert "degrees" in _paired(*LEADS, (-2.5, None), low=-0.1, high=0.6).sentence


def test_the_error_of_all_answers_is_said_of_each_line() -> None:
    assert "all the answers is at most" in replace(_verdict(BETTER), extensions=1).caveat
    both = replace(_verdict(BETTER, BETTER), extensions=1).caveat
    assert "of each line, the trials' and the whole recipe's, is at most 5 %" in both


def test_it_is_better_only_if_the_whole_recipe_does_not_take_it_back() -> None:
    assert _verdict(BETTER).is_better
    assert _verdict(BETTER, BETTER).is_better
    assert not _verdict(BETTER, OPEN).is_better
    assert not _verdict(OPEN, BETTER).is_better


def test_why_the_whole_recipe_is_not_judged_is_said_where_it_was_asked_for() -> None:
    found = _verdict(BETTER)
    assert found.awaited("trial", is_over=False) == ""
    assert "still to be judged" in found.awaited("recipe", is_over=False)
    assert "ended before" in found.awaited("recipe", is_over=True)
    same = replace(found, best_rank_vector=UNIFORM)
    assert "compares nothing" in same.awaited("recipe", is_over=True)
    assert _verdict(BETTER, WORSE).awaited("recipe", is_over=True) == ""


def test_a_verdict_of_before_is_written_as_before() -> None:
    assert "recipe" not in encode(_verdict(BETTER))
    whole = _verdict(BETTER, WORSE)
    assert decode(Verdict, encode(whole)) == whole
