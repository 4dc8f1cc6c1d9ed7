"""Fitting: what trials were found to have memory for, so that the next need not find out again."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import structlog

from rankspace.lease import Assignment
from rankspace.recipe import Inputs, Recipe
from tuning.batches import Passes
from tuning.training import Training

log = structlog.get_logger(__name__)

_Key: TypeAlias = tuple[str, Recipe, Inputs, bool]
"""Model, recipe, what its files hold, which may be longer examples one day than another, and
whether it is a survey, whose adapter is larger than that of its trials."""


@dataclass(slots=True)
class Fitting:
    """Passes that memory did not run out with, by model, recipe and data.

    It lasts as long as the process. Whoever took the memory may be gone by then: a worker that is
    started anew tries again.
    """

    _found: dict[_Key, Passes] = field(default_factory=dict, init=False)

    def learn(
        self, assignment: Assignment, inputs: Inputs, begun: Passes, trained: Training
    ) -> None:
        """Remember where a training had to be cut into smaller passes than it had begun with.

        One that goes on from a checkpoint may be smaller for what memory there was then.
        """
        if trained.ran_out:
            self._found[_key(assignment, inputs)] = trained.passes
            log.warning("memory_ran_out", **_said(trained.passes), tried=str(begun))

    def within(self, assignment: Assignment, inputs: Inputs, passes: Passes) -> Passes:
        """Return ``passes``, or as many examples as earlier trials of the kind came to."""
        known = self._found.get(_key(assignment, inputs), passes)
        examples = min(known.examples, passes.examples)
        recomputes = known.recomputes or passes.recomputes
        smaller = replace(passes, examples=examples, recomputes=recomputes)
        if smaller != passes:
            log.info("micro_batch_remembered", **_said(smaller), asked=str(passes))
        return smaller


def _said(passes: Passes) -> dict[str, object]:
    return {"micro": str(passes), "recomputes": passes.recomputes}


def _key(assignment: Assignment, inputs: Inputs) -> _Key:
    is_survey = assignment.survey is not None
    return assignment.model_fingerprint, assignment.recipe, inputs, is_survey
