"""Optuna's samplers as peers. A parameter is the level of a layer's rank."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from bench.proposers.peers.peer import excess
from bench.proposers.problems.optimum import levels_of
from bench.proposers.problems.problem import Problem
from rankspace import RankVector

PENALTY = 3.2
"""CMA-ES has no constraints: swings of the score that are taken off per budget's worth of excess.

In proportion what ``0.05 * 8 * excess`` per layer was on scores around 1 at a budget of 8 per
layer, the weight its published figures on the reference family were measured with.
"""

MakeSampler = Callable[[Problem, int], BaseSampler]


def random_sampler(problem: Problem, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def tpe_sampler(problem: Problem, seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


def gp_sampler(problem: Problem, seed: int) -> BaseSampler:
    return GPSampler(seed=seed)


def cmaes_sampler(problem: Problem, seed: int) -> BaseSampler:
    uniform = _parameters(levels_of(problem.space, problem.space.uniform()).tolist())
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return CmaEsSampler(
            x0=dict(uniform), seed=seed
        )  # deprecated, and the one way to begin there


def opener(make: MakeSampler) -> Callable[[Problem, int], "OptunaLibrary"]:
    """How to begin a study with the sampler that ``make`` makes."""
    return _Opener(make)


@dataclass(frozen=True)
class _Opener:
    """A class and not a closure, so that a process can be told of it."""

    make: MakeSampler

    def __call__(self, problem: Problem, seed: int) -> "OptunaLibrary":
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction="maximize", sampler=self.make(problem, seed))
        uniform = levels_of(problem.space, problem.space.uniform()).tolist()
        study.enqueue_trial(_parameters(uniform))
        return OptunaLibrary(problem, study, penalised=self.make is cmaes_sampler)


@dataclass
class OptunaLibrary:
    """An in-memory study.

    Attributes:
        problem: What is searched.
        study: Optuna's.
        penalised: The budget enters the score, since the sampler ignores constraints.
    """

    problem: Problem
    study: optuna.Study
    penalised: bool
    _trial: optuna.Trial = field(init=False)
    _asked: RankVector = field(init=False)

    def ask(self) -> RankVector:
        space = self.problem.space
        self._trial = self.study.ask(self._distributions())
        levels = [self._trial.params[_name(at)] for at in range(len(space.layers))]
        self._asked = RankVector(tuple(space.ranks[level] for level in levels))
        return self._asked

    def tell(self, tried: RankVector, score: float | None) -> None:
        """Report the repaired vector as a trial of its own, and the asked one as failed.

        So the sampler learns what was really tried. CMA-ES learns only of trials it asked for: it
        gets the score of the repaired vector for the asked one.
        """
        over = excess(self.problem.space, tried)
        if score is None:
            self.study.tell(self._trial, state=TrialState.FAIL)
        elif self.penalised:
            fine = PENALTY * self.problem.swing * max(0.0, over)
            self.study.tell(self._trial, score - fine)
        elif tried == self._asked:
            self._trial.set_constraint("budget", over)
            self.study.tell(self._trial, score)
        else:
            self.study.tell(self._trial, state=TrialState.FAIL)
            self.study.add_trial(self._repaired(tried, score))

    def recommend(self) -> None:
        """Return None: Optuna's best trial is the one with the best observed feasible score."""

    def _repaired(self, tried: RankVector, score: float) -> optuna.trial.FrozenTrial:
        levels = levels_of(self.problem.space, tried).tolist()
        return optuna.trial.create_trial(
            params=_parameters(levels),
            distributions=self._distributions(),
            value=score,
            constraints={"budget": excess(self.problem.space, tried)},
        )

    def _distributions(self) -> dict[str, BaseDistribution]:
        last = len(self.problem.space.ranks) - 1
        return {_name(at): IntDistribution(0, last) for at in range(len(self.problem.space.layers))}


def _name(layer: int) -> str:
    return f"r{layer:03d}"


def _parameters(levels: list[int]) -> dict[str, int]:
    return {_name(at): level for at, level in enumerate(levels)}
