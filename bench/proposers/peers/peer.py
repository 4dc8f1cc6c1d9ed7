"""Peers: a library that is asked and told, started from the uniform vector, plain or projected.

Plain: the asked vector is tried as it is, infeasible or not, and the library learns of the budget
the way it offers. Projected: the asked vector is first repaired onto the budget by random single
steps, as our own random strategy does. Either way the answer is what the library recommends, or
the feasible trial with the best score where it recommends nothing.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import numpy as np

from bench.proposers.arms import Answer
from bench.proposers.problems.optimum import levels_of
from bench.proposers.problems.problem import Problem
from perfmodel.allocation.feasible import is_feasible
from perfmodel.allocation.random_vectors import repair
from rankspace import RankVector, SearchSpace


class Library(Protocol):
    """One study in a peer's own terms."""

    def ask(self) -> RankVector:
        """Next vector; the uniform one first."""

    def tell(self, tried: RankVector, score: float | None) -> None:
        """Report the score of the latest asked vector, or of the ``tried`` one in its place."""

    def recommend(self) -> RankVector | None:
        """Return what the library would choose itself; None if it only keeps trials."""


@dataclass(frozen=True)
class Peer:
    """One way of using one library.

    Attributes:
        package: Its distribution.
        open: Begins a study of a problem, given a seed.
        projected: Whether asked vectors are repaired onto the budget.
    """

    package: str
    open: Callable[[Problem, int], Library]
    projected: bool

    @property
    def version(self) -> str:
        """Of the package; empty when it is not installed."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return ""

    def paced(self) -> bool:
        return False

    def answer(
        self, problem: Problem, seed: int, lengths: tuple[int, ...], cap: float
    ) -> Iterator[Answer]:
        library, rng = self.open(problem, seed), np.random.default_rng(seed)
        best = (-np.inf, problem.space.uniform())
        infeasible, seconds = 0, 0.0
        for trial in range(max(lengths)):
            begun = time.process_time()
            asked = library.ask()
            fits = is_feasible(problem.space, asked)
            tried = _repaired(problem.space, asked, rng) if self.projected and trial else asked
            score = problem.observe(tried, trial)
            library.tell(tried, score)
            seconds += time.process_time() - begun
            infeasible += not fits
            if score is not None and score > best[0] and is_feasible(problem.space, tried):
                best = (score, tried)
            late = seconds > cap
            for length in lengths:
                if trial + 1 == length or (late and length > trial):
                    chosen = library.recommend() or best[1]
                    yield Answer(length, trial + 1, chosen, infeasible, seconds)
            if late:
                return


def excess(space: SearchSpace, vector: RankVector) -> float:
    """Parameters above the budget, as a share of it; negative below."""
    return space.parameters(vector) / space.max_parameters - 1.0


def _repaired(space: SearchSpace, asked: RankVector, rng: np.random.Generator) -> RankVector:
    return repair(space, levels_of(space, asked).tolist(), rng)
