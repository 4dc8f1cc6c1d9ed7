"""What the page says of a verdict: no more than was found, and nothing left out."""

from dataclasses import replace

from rankspace import Comparison, RankVector, Verdict
from rankspace.study import MOST_NATS
from rankspace.verdict import Answer
from service.web.pages.words import verdict_words

UNIFORM = RankVector((2, 2))
VERSUS = Comparison(0.1, 0.05, 0.15, 6, Answer.BETTER)
VERDICT = Verdict(
    answer=Answer.BETTER,
    versus_uniform=VERSUS,
    best_rank_vector=RankVector((4, 0)),
    best_score=-3.0,
    best_parameters=40,
    uniform_rank_vector=UNIFORM,
    uniform_score=-3.1,
    uniform_parameters=40,
    versus_random=VERSUS,
    cheapest_rank_vector=UNIFORM,
    cheapest_parameters=40,
    versus_uniform_cheapest=None,
    margin=0.01,
    trials=40,
)


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
