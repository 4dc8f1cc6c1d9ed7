"""Further scores against trials: both searches take the same device seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from bench.proposers.problems.noise import TrialNoise
from bench.survey.further import FIRST_DRAW, SPENT, regret, told
from perfmodel.arrays import Floats
from rankspace import RankVector

pytestmark = pytest.mark.slow

LENGTH = 8


@dataclass
class Counting:
    """A problem's noise that counts the trials."""

    noise: TrialNoise
    trials: int = 0

    @property
    def deviation(self) -> float:
        return self.noise.deviation

    def observe(self, truth: float, trial: int) -> float | None:
        self.trials += 1
        return self.noise.observe(truth, trial)


@pytest.mark.parametrize("arm", ["first", "alike", "none"])
def test_an_arm_that_scores_further_vectors_has_fewer_trials(arm: str) -> None:
    given = told("stories-quarter-all", FIRST_DRAW)
    noise, scored = Counting(given.problem.noise), list[RankVector]()

    def counted(vectors: Sequence[RankVector]) -> Floats:
        scored.extend(vectors)
        return given.arms["alike"](vectors)

    problem = replace(given.problem, noise=noise)
    regret(replace(given, problem=problem, arms={"alike": counted}), arm, 0, LENGTH)
    trials = {"first": LENGTH, "alike": LENGTH - SPENT, "none": LENGTH + round(given.price)}
    assert noise.trials == trials[arm]
    assert bool(scored) == (arm == "alike")
    assert len(scored) <= given.further
    assert len({*scored} | {one.rank_vector for one in given.surveyed}) == len(scored) + len(
        given.surveyed
    )
