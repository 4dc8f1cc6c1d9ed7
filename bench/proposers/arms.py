"""Arms: whoever answers a problem. Our strategies here; the peers have files of their own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from bench.proposers.problems.problem import Problem
from perfmodel import leaders, learn, predict, propose, start
from perfmodel.allocation.feasible import is_feasible
from perfmodel.state import ModelState
from rankspace import Observation, RankVector, SearchSpace
from rankspace.observation import Taught

UNHURRIED = frozenset({"swap", "random", "uniform"})
"""Strategies that go the same way however many trials are planned."""


@dataclass(frozen=True)
class Answer:
    """What an arm would choose after ``trials`` trials of a study planned for ``length``."""

    length: int
    trials: int
    vector: RankVector
    infeasible: int
    seconds: float
    gain: float | None = None


class Arm(Protocol):
    """One way of searching. A run that passes ``cap`` seconds of CPU answers with what it has."""

    @property
    def version(self) -> str:
        """Of the library that proposes; empty for our own strategies."""

    def paced(self) -> bool:
        """Whether the planned number of trials changes the way it goes."""

    def answer(
        self, problem: Problem, seed: int, lengths: tuple[int, ...], cap: float
    ) -> Iterator[Answer]:
        """Run one study of ``max(lengths)`` trials; yield an answer at each of ``lengths``."""


@dataclass(frozen=True)
class Own:
    """One of our strategies; its answer is the first leader.

    Attributes:
        strategy: A key of ``perfmodel.STRATEGIES``.
        taught: What other studies teach it of a space's layers before its first trial.
    """

    strategy: str
    version: str = ""
    taught: Callable[[SearchSpace], Taught | None] = lambda space: None

    def paced(self) -> bool:
        return self.strategy not in UNHURRIED

    def answer(
        self, problem: Problem, seed: int, lengths: tuple[int, ...], cap: float
    ) -> Iterator[Answer]:
        state = start(problem.space, strategy=self.strategy, seed=seed, trials=max(lengths))
        state = replace(state, taught=self.taught(problem.space))
        infeasible, seconds = 0, 0.0
        for trial in range(max(lengths)):
            begun = time.process_time()
            state, (proposal,) = propose(state)
            vector = proposal.rank_vector
            infeasible += not is_feasible(problem.space, vector)
            state = learn(state, [Observation(vector, problem.observe(vector, trial), seed)])
            seconds += time.process_time() - begun
            late = seconds > cap
            for length in lengths:
                if trial + 1 == length or (late and length > trial):
                    yield _answer(problem, state, length, infeasible, seconds)
            if late:
                return


def _answer(
    problem: Problem, state: ModelState, length: int, infeasible: int, seconds: float
) -> Answer:
    chosen = leaders(state, 1)[0]
    infeasible += not is_feasible(problem.space, chosen)
    mean, _ = predict(state, [chosen, problem.space.uniform()])
    gain = float(mean[0] - mean[1]) / problem.noise.deviation
    return Answer(length, len(state.observations), chosen, infeasible, seconds, gain)
