"""Choosing: which study's trial is next for a worker, and which plans that hangs on.

A worker's own results may still be planned while it asks for more. What is planned of a study
touches that study's trials alone, and a trial that is new then stands behind all in the same place.
So most often another study's trial is next whatever the plan says, and need not wait.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rankspace.study import Budget, StudyState

UNLEARNED = 8
"""Results that the offers of a study may not know yet: so near its end a search may be over with
the next plan. With one worker it is one."""

Place: TypeAlias = tuple[int, int]
"""Of a trial among all that are queued, the lowest first: whether its model has to be loaded, and
the priority, negative. In equal places the oldest trial is first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose trial a claim gets, as far as that can be said.

    Attributes:
        study: Whose trial it would be now; None where there is none.
        hangs_on: Studies whose plans, still pending, may have it be another one.
    """

    study: str | None
    hangs_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextTrial:
    """The trial that is next now."""

    study: str
    project: str
    place: Place


@dataclass(frozen=True, slots=True)
class PlannedStudy:
    """A study that is being planned.

    Attributes:
        study: Identity.
        project: Whose it is.
        state: Where it stands.
        to_load: Whether its model is not the one that the worker has loaded, 0 or 1.
        results: Finished search trials that its offers rest on.
        unfinished: Trials that are queued or run.
        budget: Of its search.
    """

    study: str
    project: str
    state: str
    to_load: int
    results: int
    unfinished: int
    budget: Budget

    @property
    def best(self) -> Place:
        """The lowest that a trial can have which its plan adds."""
        return self.to_load, -1 if self._may_leave_the_search() else 0

    def _may_leave_the_search(self) -> bool:
        """Whether trials of another purpose may follow, which go before all of searches."""
        if self.state != StudyState.SEARCHING:
            return True
        begun = self.results + UNLEARNED + self.unfinished
        return self.budget.gpu_hours is not None or begun >= self.budget.trials


def choice(
    next_one: NextTrial | None, pending: Sequence[str], planned: Collection[PlannedStudy]
) -> Choice:
    """Say whose trial is next, and which of the ``pending`` plans may change that.

    Where nothing is queued that is the one that was asked for first. One of another project is: the
    order in which two projects are planned is nobody's, and it numbers their trials.
    """
    if next_one is None:
        return Choice(None, tuple(pending[:1]))
    found = {one.study for one in planned if _may_change(one, next_one)}
    return Choice(next_one.study, tuple(study for study in pending if study in found))


def _may_change(one: PlannedStudy, next_one: NextTrial) -> bool:
    if one.study == next_one.study or one.project != next_one.project:
        return True
    return one.best < next_one.place
