"""Self-Pruner: what a model says decides; what it does not say, the genetic algorithm does."""

import json
import re
from collections.abc import Callable

import pytest

from pruning.search import prompts
from pruning.search.chat import Reply
from pruning.search.evaluation import Evaluation
from pruning.search.evolution import SIZE, Genetic
from pruning.search.record import Record
from pruning.search.run import run_search
from pruning.search.self_pruner import SelfPruner
from tests.unit.pruning.search.spaces import bowl, space_of

SPACE = space_of(0.5)
EVALUATIONS = 14
CHILDREN = EVALUATIONS - SIZE
QUESTIONS = SIZE - 1 + 3 * CHILDREN


def searched(ask: Callable[[str], Reply]) -> tuple[SelfPruner, Record]:
    search, record = SelfPruner(1, ask), Record()
    run_search(search, SPACE, bowl, record, EVALUATIONS)
    return search, record


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda _: Reply("once upon a time"), "invalid"),
        (lambda _: Reply("[0.1, 0.2]"), "invalid"),
        (lambda _: Reply(None, "gone"), "unanswered"),
        (Reply, "invalid"),
        (lambda prompt: Reply(f"{prompt}\n{prompt}"), "invalid"),
    ],
    ids=["prose", "pair", "gone", "echo", "echoes"],
)
def test_a_model_that_says_nothing_of_use_is_the_genetic_algorithm_and_that_is_said(
    ask: Callable[[str], Reply], field: str
) -> None:
    search, record = searched(ask)
    genetic = Record()
    run_search(Genetic(1), SPACE, bowl, genetic, EVALUATIONS)
    assert record.evaluations == genetic.evaluations
    assert getattr(search.replies, field) == search.replies.moves >= QUESTIONS
    assert search.replies.used == 0
    assert "made no move: this was the genetic algorithm" in search.replies.sentence


def saying(reply: Reply) -> Callable[[str], Reply]:
    return lambda _: reply


def shown(prompt: str) -> list[list[float]]:
    return [json.loads(found) for found in re.findall(r"\[[^\]]*\]", prompt)]


def test_one_that_repeats_a_candidate_is_found_out() -> None:
    """Not word for word, so that no question is seen in the reply."""
    search, record = searched(lambda prompt: Reply(f"I choose {shown(prompt)[0]}"))
    assert search.replies.repeated > 0
    assert search.replies.used == 0
    assert len({one.vector for one in record.evaluations}) == EVALUATIONS


def test_a_model_that_knows_the_answer_decides() -> None:
    """It gives what the bowl wants, off the mean by a known shift, and says something else next."""
    told: list[list[float]] = []

    def ask(prompt: str) -> Reply:
        if "two integers" in prompt:
            return Reply("[0, 1]")
        told.append([0.1, 0.26, 0.42, 0.58 + 0.01 * len(told), 0.2])
        return Reply(f"Here: {told[-1]}")

    search, record = searched(ask)
    assert search.replies.mended == len(told)
    assert search.replies.taken == search.replies.moves - len(told)
    assert search.replies.invalid == search.replies.repeated == search.replies.unanswered == 0
    proposed = SPACE.settle(list(SPACE.project(told[0]).values()))
    assert record.evaluations[1] == Evaluation(proposed, bowl(proposed))
    assert "genetic moves stood in for the last 0" in search.replies.sentence


def test_only_the_mean_is_mended_and_that_is_told_from_rounding() -> None:
    for off, field in ((0.004, "taken"), (0.05, "mended")):
        wanted = [0.3 + off, 0.4 + off, 0.5 + off, 0.6 + off, 0.7 + off]
        search, record = SelfPruner(1, saying(Reply(str(wanted)))), Record()
        run_search(search, SPACE, bowl, record, 2)
        assert getattr(search.replies, field) == search.replies.moves == 1
        expected = SPACE.settle([0.3, 0.4, 0.5, 0.6, 0.7])
        assert record.evaluations[1].vector == pytest.approx(tuple(expected.values()), abs=1e-9)


def test_questions_say_what_is_known_and_show_the_best_only() -> None:
    members = [
        Evaluation(dict.fromkeys(SPACE.blocks, number / 10), 3.0 + number) for number in range(8)
    ]
    for prompt in (prompts.newcomer(SPACE, members), prompts.parents(SPACE, members)):
        assert len(shown(prompt)) == prompts.SHOWN
        assert "the mean must be 0.5" in prompt
        assert "loss 7.000" in prompt
        assert "loss 8.000" not in prompt
    assert shown(prompts.mutate(SPACE, [0.123, 0.5, 0.5, 0.5, 0.877])) == [
        [0.12, 0.5, 0.5, 0.5, 0.88]
    ]
    assert len(shown(prompts.cross(SPACE, members[0], members[1]))) == 2
