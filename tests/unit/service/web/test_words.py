"""What the page says of a verdict: no more than was found, and nothing left out."""

import io
from dataclasses import replace

from rich.console import Console

from rankadaptor.verdict_view import verdict_view
from rankspace import Comparison, Layer, SearchSpace, Verdict
from rankspace.study import MOST_NATS
from rankspace.verdict import Answer, Controlled, RecipeVerdict, RecoveredPair
from service.web.pages.words import recovered_losses, verdict_words
from tests import verdicts

SPACE = SearchSpace((Layer("a", 10, 0, "o_proj"), Layer("b", 10, 1, "o_proj")), (0, 2, 4), 40)
VERDICT = replace(verdicts.VERDICT, versus_random=verdicts.VERSUS)


def words(verdict: Verdict) -> str:
    return " ".join(verdict_words(verdict))


def test_better_than_random_is_said_of_vectors_and_not_of_the_search() -> None:
    said = words(replace(VERDICT, luck=0.02))
    assert "0.0200 where scores are about normal" in said
    assert "not the search" in said
    assert "not the search" not in words(VERDICT)


def test_what_one_random_vector_says_is_no_number() -> None:
    said = words(replace(VERDICT, luck=MOST_NATS))
    assert "say nothing of the search" in said
    assert "1000000" not in said


def test_few_parameters_saved_are_counted_and_many_are_a_share() -> None:
    saving = replace(VERDICT, uniform_parameters=9_436, cheapest_parameters=9_432)
    assert ": 4 fewer than its 9,436." in words(saving)
    assert ": 25% fewer than its 9,436." in words(replace(saving, cheapest_parameters=7_077))


SMALL = Comparison(1.0, 0.85, 1.15, 5, Answer.NO_DIFFERENCE_SHOWN, least_gain=1.2)


def test_a_lead_that_is_too_small_is_not_called_no_lead() -> None:
    small = replace(VERDICT, answer=SMALL.answer, versus_uniform=SMALL)
    said = words(small)
    assert "cannot be told" not in said
    assert "lead uniform ranks" in said
    assert "1.2000" in said
    withheld = replace(SMALL, least_gain=0.1, failed=1)
    assert "cannot be told" in words(replace(small, versus_uniform=withheld))
    two = replace(SMALL, seeds=2)
    assert "cannot be told" in words(replace(small, versus_uniform=two))
    assert "> 1.2000" in printed(small)


def test_a_control_that_failed_is_said_to_have_failed() -> None:
    failed = replace(VERDICT, controls=(Controlled("o_proj", verdicts.UNIFORM, 40, None),))
    assert "Against o_proj, which needs no search: failed" in words(failed)
    line = next(line for line in printed(failed).splitlines() if "o_proj" in line)
    assert line.split()[-1] == "failed"


def printed(verdict: Verdict) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(verdict_view(verdict, SPACE))
    return console.export_text()


LOST = Comparison(-0.2, -0.3, -0.1, 3, Answer.WORSE)
PAIRS = (RecoveredPair(11, -2.5, -2.7), RecoveredPair(12, -2.6, None))
RECIPE = RecipeVerdict(LOST, PAIRS, -2.5, -2.7, -5.5)


def test_what_the_whole_recipe_says_against_the_trials_comes_first() -> None:
    lost = replace(VERDICT, recipe=RECIPE)
    first, of_trials, of_recipe, *_ = verdict_words(lost)
    assert first == lost.contradiction != ""
    assert "better than uniform ranks at the same budget" in of_trials
    assert of_recipe.startswith("After the whole recipe the searched ranks are worse")
    assert "over 3 paired seeds" in of_recipe
    told = [line for line in printed(lost).splitlines() if line.strip()]
    assert told[0].strip() == lost.contradiction
    assert told[1].startswith("better. ")
    assert told[2].startswith("worse. After the whole recipe")


def test_the_losses_of_what_was_recovered_are_shown_one_by_one() -> None:
    assert recovered_losses(RECIPE) == (
        ("pruned", "5.5000", ""),
        ("uniform, recovered", "2.5000", "2.5000, 2.6000"),
        ("winner, recovered", "2.7000", "2.7000, failed"),
    )
    lines = printed(replace(VERDICT, recipe=RECIPE)).splitlines()
    rows = {line.split("  ")[1].strip(): line.split()[-3:] for line in lines if "recovered" in line}
    assert rows == {
        "uniform, recovered": ["2.5000", "2.5000", "2.6000"],
        "winner, recovered": ["2.7000", "2.7000", "failed"],
    }


def test_a_recipe_that_is_still_to_be_judged_is_said_before_the_answer() -> None:
    lacks = VERDICT.awaited("recipe", is_over=False)
    assert verdict_words(VERDICT, lacks)[0] == lacks
    assert verdict_words(VERDICT)[0] != lacks
