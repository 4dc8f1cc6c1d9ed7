"""Problem: a search space with a known truth and a noise that every arm shares."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.proposers.problems.landscapes import Landscape
from bench.proposers.problems.noise import TrialNoise
from bench.proposers.problems.optimum import climb, levels_of, optimum
from perfmodel.arrays import Integers
from rankspace import RankVector, SearchSpace
from rankspace.cached import cached_property

LED = 2
"""Answers from which the optimum is searched as well."""

PROBES = 8
"""Random vectors and trials that a problem's fingerprint is taken of."""


@dataclass(frozen=True)
class Problem:
    """One seed of one family.

    Attributes:
        space: What may be tried; no layer is fixed.
        landscape: The truth.
        noise: Of one trial.
    """

    space: SearchSpace
    landscape: Landscape
    noise: TrialNoise

    @cached_property
    def optimum(self) -> RankVector:
        """The best vector: exact, or what the search finds by itself."""
        return optimum(self.space, self.landscape)

    def score(self, vector: RankVector) -> float:
        """Noiseless score; vectors above the budget have one too."""
        return float(self.landscape.scores(levels_of(self.space, vector)[None])[0])

    def observe(self, vector: RankVector, trial: int) -> float | None:
        """Score of ``vector`` as the trial with index ``trial``; None when it diverged."""
        return self.noise.observe(self.score(vector), trial)

    @cached_property
    def uniform_score(self) -> float:
        return self.score(self.space.uniform())

    @cached_property
    def swing(self) -> float:
        """What the uniform vector gains over the cheapest one: a scale of the score."""
        return abs(self.uniform_score - self.score(self.space.cheapest()))

    def best_score(self, answers: Iterable[RankVector] = ()) -> float:
        """Score of the optimum; where it is not exact, no arm's answer can be above it.

        The best ``LED`` of ``answers`` start searches of their own.
        """
        found = self.score(self.optimum)
        if self.landscape.tables is not None:
            return found
        leading = sorted(answers, key=self.score, reverse=True)[:LED]
        ends = [climb(self.space, self.landscape, levels_of(self.space, v)) for v in leading]
        return max([found, *(float(self.landscape.scores(end[None])[0]) for end in ends)])

    def regret(self, vector: RankVector, best: float) -> float:
        """100 at the uniform vector, 0 at the score ``best``."""
        return 100.0 * (best - self.score(vector)) / (best - self.uniform_score)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the truth, the space or the noise; stored results carry it."""
        truths = self.landscape.scores(_probes(self.space, PROBES)).tolist()
        seen = [self.noise.observe(truth, trial) for trial, truth in enumerate(truths)]
        figures = [f"{x:.6g}" if x is not None else "-" for x in (*truths, *seen)]
        text = repr((self.space.costs, self.space.ranks, self.space.max_parameters, figures))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def spread(space: SearchSpace, landscape: Landscape) -> float:
    """Standard deviation of the score over random vectors, whatever they cost."""
    return float(np.std(landscape.scores(_probes(space, 64))))


def _probes(space: SearchSpace, count: int) -> Integers:
    """Random levels, ``(count, layers)``: a stream of its own, which no proposer shares."""
    return np.random.default_rng(0).integers(len(space.ranks), size=(count, len(space.layers)))
