"""Ax as a peer: the one library with a linear constraint in its space. Needs ``ax-platform``."""

import importlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench.proposers.problems.problem import Problem
from perfmodel.allocation.feasible import is_feasible
from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput

WARM = 10
"""Trials before the model proposes, as many as Optuna's samplers draw at random."""


def open_ax(problem: Problem, seed: int) -> "AxLibrary":
    """Begin a study with the budget as a constraint of the space, and the uniform vector first.

    Raises:
        InvalidInput: ``ax-platform`` is not installed.
    """
    logging.disable(logging.WARNING)  # several lines per trial, by loggers of their own levels
    warnings.filterwarnings("ignore")  # a hundred per study, on its own internals
    try:
        client = importlib.import_module("ax.api.client").Client(random_seed=seed)
        configs = importlib.import_module("ax.api.configs")
    except ModuleNotFoundError:
        raise InvalidInput(
            "arms", "ax", "Ax is not installed", fix="pip install 'rankadaptor[bench]'"
        ) from None
    space = problem.space
    last = (space.ranks[-1] - space.ranks[0]) // _step(space)
    kind = "int" if _is_even(space) else "float"
    client.configure_experiment(
        name="ranks",
        parameters=[
            configs.RangeParameterConfig(name=_name(at), bounds=(0, last), parameter_type=kind)
            for at in range(len(space.layers))
        ],
        parameter_constraints=[_budget(space)],
    )
    client.configure_optimization(objective="score")
    client.configure_generation_strategy(initialization_budget=WARM)
    return AxLibrary(problem, client)


@dataclass
class AxLibrary:
    """An in-memory experiment."""

    problem: Problem
    client: Any
    _index: int | None = field(init=False, default=None)
    _asked: RankVector = field(init=False)

    def ask(self) -> RankVector:
        if self._index is None:
            self._asked = self.problem.space.uniform()
            self._index = self._attached(self._asked)
        else:
            trials = self.client.get_next_trials(max_trials=1)
            ((self._index, parameters),) = trials.items()
            self._asked = self._vector(parameters)
        return self._asked

    def tell(self, tried: RankVector, score: float | None) -> None:
        """Abandon a trial whose vector was repaired and attach the repaired one in its place."""
        if tried != self._asked:
            self.client.mark_trial_abandoned(trial_index=self._index)
            self._index = self._attached(tried)
        if score is None:
            self.client.mark_trial_failed(trial_index=self._index)
        else:
            self.client.complete_trial(trial_index=self._index, raw_data={"score": score})

    def recommend(self) -> RankVector | None:
        """Return the trial that Ax's model predicts to be best, if it fits the space."""
        parameters, *_ = self.client.get_best_parameterization()
        vector = self._vector(parameters)
        return vector if is_feasible(self.problem.space, vector) else None

    def _attached(self, vector: RankVector) -> int:
        number = int if _is_even(self.problem.space) else float
        steps = {_name(at): number(n) for at, n in enumerate(_steps(self.problem.space, vector))}
        return int(self.client.attach_trial(parameters=steps))

    def _vector(self, parameters: Mapping[str, Any]) -> RankVector:
        """Round down to allowed ranks: where they are uneven, Ax searches all real numbers.

        Whole ones are no way there: on budgets as tight as a rank of 1 in 8 its search finds no
        point to begin at.
        """
        space = self.problem.space
        low, step = space.ranks[0], _step(space)
        asked = [low + step * parameters[_name(at)] for at in range(len(space.layers))]
        return RankVector(tuple(max(rank for rank in space.ranks if rank <= ask) for ask in asked))


def _budget(space: SearchSpace) -> str:
    """Write the budget in steps; exact, and unlike a ``step_size`` it keeps the constraint.

    With a ``step_size`` Ax makes a choice of the parameter, to which the constraint then does not
    apply as written: it asked for up to 75 % above the budget.
    """
    step, paid = _step(space), space.ranks[0] * sum(space.costs)
    terms = " + ".join(f"{cost * step} * {_name(at)}" for at, cost in enumerate(space.costs))
    return f"{terms} <= {space.max_parameters - paid + 0.5}"  # inside, for whole numbers too


def _steps(space: SearchSpace, vector: RankVector) -> list[int]:
    return [(rank - space.ranks[0]) // _step(space) for rank in vector.ranks]


def _step(space: SearchSpace) -> int:
    """Distance between ranks; 1 where it is not the same throughout."""
    return space.ranks[1] - space.ranks[0] if _is_even(space) else 1


def _is_even(space: SearchSpace) -> bool:
    return len({high - low for low, high in pairwise(space.ranks)}) == 1


def _name(layer: int) -> str:
    return f"r{layer:03d}"
