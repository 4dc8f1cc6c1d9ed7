"""Clone: a study once more, perhaps with another name, budget or seed."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from rankspace import Study
from rankspace.study import PRIORS, Opinion
from rankspace.wire import encode
from service.models.repository import Models
from service.storage.documents import belief_of, study_of, taught_of
from service.storage.events import Events
from service.storage.tables import StudyRow
from service.studies.repository import Studies, used_for_another


@dataclass(frozen=True, slots=True)
class Clone:
    """What is otherwise in a copy of a study.

    Attributes:
        name: None for the same.
        trials: Search trials; None for as many.
        seed: None for the same, with which it proposes the same.
        results: Whether it begins with what the original has measured; then the seed stays.
    """

    name: str | None = None
    trials: int | None = None
    seed: int | None = None
    results: bool = False

    def of(self, study: Study) -> Study:
        """The copy.

        Raises:
            InvalidInput: A change that a study cannot have.
        """
        search = study.search
        trials = search.budget.trials if self.trials is None else self.trials
        seed = search.seed if self.seed is None else self.seed
        search = replace(search, budget=replace(search.budget, trials=trials), seed=seed)
        # How data were read belongs to results: without them, workers of today begin anew.
        inputs = study.inputs if self.results else replace(study.inputs, reading=None)
        name = study.name if self.name is None else self.name
        return replace(study, name=name, search=search, inputs=inputs)


@dataclass(frozen=True, slots=True)
class Cloned:
    """Of which study a copy is, and what was asked for; its log begins with it."""

    study: str
    by: Clone


def known_clone(session: Session, cloned: Cloned, project: str, key: str | None) -> StudyRow | None:
    """The copy that ``key`` made before, whatever has become of the original since.

    Raises:
        Conflict: It is a copy of another study, or another copy.
    """
    row = Studies(session).by_idempotency_key(project, key) if key else None
    if row is None:
        return None
    told: list[Any] = Events(session).contents("submitted", row.id)
    if [content.get("clone") for content in told] != [encode(cloned)]:
        raise used_for_another(row)
    return row


def original(session: Session, row: StudyRow) -> Study:
    """The study as it is by now.

    Its model is named by identity where its path is another model's by now, and a prior of its own
    by what it said: its file was never here.
    """
    study = study_of(row)
    named = Models(session).named(row.project, study.model)
    is_same = named is not None and named.id == row.model_id
    study = study if is_same else replace(study, model=row.model_id)
    belief, taught = belief_of(row.belief), taught_of(row.earlier)
    version = study.search.prior
    if not isinstance(version, str) or version in PRIORS or not (belief or taught):
        return study
    opinion = Opinion(version, () if belief is None else belief.log_worth, taught)
    return replace(study, search=replace(study.search, prior=opinion))
