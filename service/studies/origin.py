"""Origin: the study whose results another one begins with, if they mean the same there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from rankspace import Layer, Observation, Purpose, RankVector, SearchSpace, Study
from rankspace.errors import InvalidInput, cut, glimpse
from rankspace.granularity import most_trials
from rankspace.study import StudyState
from rankspace.wire import encode
from service.storage.documents import Earlier, earlier_of, space_of, study_of
from service.storage.scope import EVERYTHING, Scope
from service.storage.tables import ModelRow, StudyRow
from service.studies.extension import MOST
from service.studies.inputs import measured_on
from service.studies.measured_dtype import measured_dtype
from service.studies.repository import Studies
from service.trials.results import Result, results_after

PART = 2_000
"""Results read at once."""

MOST_RANKS = 2_000_000
"""In all vectors that one study hands on: a document of some megabytes."""

SHOWN = 3
"""Differences that an error lists."""

SHORT = 13
"""Characters of a hash that it shows."""

_SEARCH = ("ranks", "fixed", "budget", "strategy", "prior", "trial.stop_risk")
_BESIDE = ("name", "model", "verify", "recover", "gpu_memory_gib", "inputs", "paper")
FREE = (*_BESIDE, *(f"search.{name}" for name in _SEARCH))
"""Fields that do not change what a search trial of a rank vector measures, and those compared in
another way. Whatever is not named here does: a field that comes later is compared until somebody
knows better. The seed moves all scores alike, and most strategies cannot tell that from what the
ranks do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A study and what it measured, as it was read.

    Attributes:
        id: Identity.
        study: As it is by now.
        model: Fingerprint of its model.
        layers: Of its space.
        earlier: What it began with itself.
        results: Its finished search trials, in the order of acceptance; of too many the first.
        looks: Answers to its results, its own one included, which it has or may still get.
        base_dtype: Type of the base weights that its results were measured with.
    """

    id: str
    study: Study
    model: str
    layers: tuple[Layer, ...]
    earlier: tuple[Observation, ...]
    results: tuple[Result, ...]
    looks: int
    base_dtype: str | None

    @classmethod
    def read(cls, session: Session, study: str, scope: Scope = EVERYTHING) -> "Origin":
        """Read it.

        Raises:
            NotFound: There is no such study in ``scope``.
        """
        row = Studies(session).get(study, scope)
        layers = space_of(row.space).layers
        too_many = MOST_RANKS // len(layers) + 1
        found = study_of(row)
        return cls(
            id=study,
            study=replace(found, inputs=measured_on(session, study, found.inputs)),
            model=session.get_one(ModelRow, row.model_id).fingerprint,
            layers=layers,
            earlier=earlier_of(row.earlier),
            results=tuple(islice(_searched(session, study), too_many)),
            looks=_looks(row),
            base_dtype=measured_dtype(session, study),
        )

    def results_for(self, study: Study, model: str, space: SearchSpace) -> Earlier:
        """What ``study`` on ``model`` may begin with.

        Results count whose ranks are those of ``space`` where it leaves no choice.

        Raises:
            InvalidInput: The results were measured otherwise, and how, or nobody knows; or there
                are none, or too many; or too many answers rest on them.
        """
        self._check_equal(study, model, space)
        self._check_known()
        share = (self.study.recover.steps or _whole(study)) / (study.recover.steps or _whole(study))
        before = [replace(o, fidelity=min(o.fidelity * share, 1.0)) for o in self.earlier]
        seen = (*before, *(result.observation(study) for result in self.results))
        agreeing = tuple(one for one in seen if _agrees(space, one.rank_vector))
        self._check_size(len(agreeing), len(seen), study.search.budget.trials, len(space.layers))
        return Earlier(agreeing)

    def _check_equal(self, study: Study, model: str, space: SearchSpace) -> None:
        differences = [*self._differences(study, model, space)]
        if differences:
            problem = "its results were measured otherwise: " + "; ".join(differences[:SHOWN])
            more = f"; and {len(differences) - SHOWN} more" if differences[SHOWN:] else ""
            fix = "make these equal, or begin without its results"
            raise InvalidInput("from", self.id, problem + more, fix=fix)

    def _differences(self, study: Study, model: str, space: SearchSpace) -> Iterator[str]:
        if self.model != model:
            yield "its model has other weights or another structure"
        yield from self._other_inputs(study)
        here, there = _measured(study), _measured(self.study)
        for field in sorted(here.keys() | there.keys()):
            mine, its = here.get(field), there.get(field)
            if mine != its:
                yield f"{field} is {glimpse(its)} there and {glimpse(mine)} here"
        if self.model == model and here == there and self.layers != space.layers:
            yield "its layers are others"

    def _other_inputs(self, study: Study) -> Iterator[str]:
        """What both studies say of their inputs; what only this one says is true of the new one."""
        for name in self.study.inputs.differing(study.inputs):
            both = (getattr(one.inputs, name) for one in (self.study, study))
            its, mine = (cut(str(value), SHORT) for value in both)
            yield f"inputs.{name} is {its} there and {mine} here"

    def _check_known(self) -> None:
        """Refuse results that nobody can tell to be of the same data, and of too many answers."""
        if self.results and self.study.inputs.unknown:
            unknown = " and ".join(f"inputs.{name}" for name in self.study.inputs.unknown)
            problem = f"nobody stated its {unknown}: its results may be of other data"
            fix = "begin without its results; workers of now state what they measure on"
        elif self.looks > MOST:
            problem = (
                f"its results have {self.looks} answers, and one more would say next to nothing"
            )
            fix = "begin without its results"
        else:
            return
        raise InvalidInput("from", cut(self.id), problem, fix=fix)

    def _check_size(self, handed: int, there: int, trials: int, layers: int) -> None:
        most = min(MOST_RANKS // layers, most_trials(layers) - trials)
        if not there:
            problem, fix = "has no results yet", "wait for its first trials, or begin without them"
        elif not handed:
            problem = "none of its results has the ranks that search.fixed gives here"
            fix = "fix no others, or begin without its results"
        elif handed > most:
            problem = f"has more results than can be handed on with {layers:,} layers"
            fix = "begin without its results, or with fewer search.budget.trials"
        else:
            return
        raise InvalidInput("from", cut(self.id), problem, fix=fix)


def _looks(row: StudyRow) -> int:
    """Count the answers; only of a study that was cancelled before any is there to be none."""
    may_have = row.arms is not None or row.state != StudyState.CANCELLED
    return row.looks_before + len(row.extensions or ()) + int(may_have)


def _agrees(space: SearchSpace, vector: RankVector) -> bool:
    """Whether layers that are not searched have their ranks of here, which no model looks at."""
    both = zip(space.options, vector.ranks, strict=True)
    return all(rank in options for options, rank in both if len(options) == 1)


def _searched(session: Session, study: str) -> Iterator[Result]:
    sequence = 0
    while found := results_after(session, study, sequence, PART):
        yield from (result for result in found if result.purpose is Purpose.SEARCH)
        sequence = found[-1].sequence


def _whole(study: Study) -> int:
    return study.search.trial.steps


def _measured(study: Study) -> Mapping[str, Any]:
    """All that a search trial's score may depend on, beside the model, the ranks and the seed."""
    return {
        field: value
        for field, value in _flat("", encode(study))
        if not any(f"{field}.".startswith(f"{free}.") for free in FREE)
    }


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a document, by dotted path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{path}.{name}" if path else name, item)
    else:
        yield path, value
