"""Ax as a peer: the one library with a linear constraint in its space. Needs ``ax-platform``."""

import importlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.proposers.problem import Problem
from perfmodel.feasible import is_feasible
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
    low, high, step = space.ranks[0], space.ranks[-1], _step(space)
    client.configure_experiment(
        name="ranks",
        parameters=[
            configs.RangeParameterConfig(
                name=_name(at), bounds=(low, high), parameter_type="int", step_size=step
            )
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
        ranks = {_name(at): rank for at, rank in enumerate(vector.ranks)}
        return int(self.client.attach_trial(parameters=ranks))

    def _vector(self, parameters: Mapping[str, Any]) -> RankVector:
        """Round down to allowed ranks: where they are uneven, Ax searches all whole numbers."""
        space = self.problem.space
        asked = [int(parameters[_name(at)]) for at in range(len(space.layers))]
        return RankVector(tuple(max(rank for rank in space.ranks if rank <= ask) for ask in asked))


def _budget(space: SearchSpace) -> str:
    terms = " + ".join(f"{cost} * {_name(at)}" for at, cost in enumerate(space.costs))
    return f"{terms} <= {space.max_parameters}"


def _step(space: SearchSpace) -> int:
    steps = {high - low for low, high in zip(space.ranks, space.ranks[1:], strict=False)}
    return steps.pop() if len(steps) == 1 else 1


def _name(layer: int) -> str:
    return f"r{layer:03d}"
