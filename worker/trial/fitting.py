"""Fitting: what trials were found to have memory for, so that the next need not find out again."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import structlog

from rankspace.lease import Assignment
from rankspace.recipe import Recipe
from tuning.batches import Passes

log = structlog.get_logger(__name__)

_Key: TypeAlias = tuple[str, Recipe, bool]
"""Model, recipe, and whether it is a survey, whose adapter is larger than that of its trials."""


@dataclass(slots=True)
class Fitting:
    """Passes that memory did not run out with, by model and recipe.

    It lasts as long as the process. Whoever took the memory may be gone by then: a worker that is
    started anew tries again.
    """

    _found: dict[_Key, Passes] = field(default_factory=dict, init=False)

    def learn(self, assignment: Assignment, begun: Passes, ended: Passes) -> None:
        """Remember where a training had to be cut into smaller passes than it began with."""
        if ended != begun:
            self._found[_key(assignment)] = ended
            log.warning("memory_ran_out", **_said(ended), tried=str(begun))

    def within(self, assignment: Assignment, passes: Passes) -> Passes:
        """Return ``passes``, or as many examples as earlier trials of the kind came to."""
        known = self._found.get(_key(assignment), passes)
        examples = min(known.examples, passes.examples)
        recomputes = known.recomputes or passes.recomputes
        smaller = replace(passes, examples=examples, recomputes=recomputes)
        if smaller != passes:
            log.info("micro_batch_remembered", **_said(smaller), asked=str(passes))
        return smaller


def _said(passes: Passes) -> dict[str, object]:
    return {"micro": str(passes), "recomputes": passes.recomputes}


def _key(assignment: Assignment) -> _Key:
    return assignment.model_fingerprint, assignment.recipe, assignment.survey is not None
