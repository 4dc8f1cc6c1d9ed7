"""VERDICT: a plain one, for the tests of what is said, stored and made of verdicts."""

from rankspace import Comparison, RankVector, Verdict
from rankspace.verdict import Answer

UNIFORM, WINNER, CHEAPEST = RankVector((2, 2)), RankVector((4, 0)), RankVector((1, 1))
VERSUS = Comparison(0.1, 0.05, 0.15, 6, Answer.BETTER)
VERDICT = Verdict(
    answer=Answer.BETTER,
    versus_uniform=VERSUS,
    best_rank_vector=WINNER,
    best_score=-3.0,
    best_parameters=40,
    uniform_rank_vector=UNIFORM,
    uniform_score=-3.1,
    uniform_parameters=40,
    versus_random=None,
    cheapest_rank_vector=CHEAPEST,
    cheapest_parameters=20,
    versus_uniform_cheapest=None,
    margin=0.01,
    trials=40,
)
"""The winner is better than uniform ranks, and a vector of half their parameters not worse."""
