"""Extending a study that is done: more trials, and a verification on seeds nobody has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector, Study
from rankspace.errors import Conflict, InvalidInput
from rankspace.granularity import most_trials
from rankspace.study import Extension, StudyState
from rankspace.wire import encode
from service.storage.documents import (
    earlier_of,
    plain_checked,
    space_of,
    study_of,
)
from service.storage.events import Events
from service.storage.tables import StudyRow
from service.studies.candidates import add_candidate
from service.studies.findings import findings_of
from service.studies.repository import Studies, change, enter, require
from service.studies.tally import Tally, tallies
from service.studies.time_limit import counted, limit_seconds
from service.trials.repository import Trials
from service.workers.bars import Bars

MOST = 10
"""Answers beside the first that results get, in their study or in one that begins with them: each
halves what the next verification may err, which widens its interval."""

ANEW = (Purpose.VERIFY, Purpose.RECOVER)
"""What an extended study runs anew, beside what it ran before."""


def extend(session: Session, study: str, by: Extension, key: str | None) -> StudyRow:
    """Go on with the search; the verdict and the adapter there are stay until there are others.

    With an idempotency ``key`` seen before nothing changes.

    Raises:
        Conflict: It is not done, was extended too often, has no GPU hours left for more trials, or
            ``key`` was used for another extension.
        InvalidInput: More trials than can be planned, or a candidate that is not in the space.
    """
    row = Studies(session).locked(study)
    if key is not None and _is_known(session, row, by, key):
        return row
    require(row, StudyState.DONE)
    ran = tallies(session, [study])[study]
    document = _checked(row, by, ran)
    row.checked = encode(
        [*map(plain_checked, findings_of(session, row))]
    )  # before what they rest on is replaced
    row.submitted = row.submitted or row.document  # services of before begin the search with it
    change(row, document)
    before = {purpose.value: ran.begun(purpose) for purpose in ANEW}
    row.extensions = [
        *_extensions(row),
        {"trials": by.ordered, "seeds": by.seeds, "before": before},
    ]
    enter(row, StudyState.SEARCHING)
    Bars(session).lift(study)
    more = {"trials": by.ordered, "seeds": document.verify.seeds, "by": by, "key": key}
    Events(session).record("extended", study, **more, verdict=row.verdict)
    session.flush()
    for vector in by.candidates:
        add_candidate(session, study, RankVector(vector))
    return row


def call_off(session: Session, row: StudyRow) -> int:
    """Note on a locked study that its last extension came to nothing.

    It stays in the count: its seeds may have been seen.

    Returns:
        Search trials that it has left, which the study has no more.
    """
    study, (*before, last) = study_of(row), _extensions(row)
    budget = study.search.budget
    kept: int = max(budget.trials - last["trials"], Trials(session).taken(row.id))
    search = replace(study.search, budget=replace(budget, trials=kept))
    change(row, replace(study, search=search))
    row.extensions = [*before, {**last, "called_off": True}]
    return budget.trials - kept


def is_called_off(row: StudyRow) -> bool:
    """Whether the last thing that became of the study is that its extension was cancelled."""
    return "called_off" in _last(row)


def begun_before(row: StudyRow) -> Mapping[str, int]:
    """Trials, by purpose, of the verifications and recoveries before the last extension."""
    before: Mapping[str, int] = _last(row).get("before", {})
    return before


def _extensions(row: StudyRow) -> Sequence[Mapping[str, Any]]:
    return row.extensions or ()


def _last(row: StudyRow) -> Mapping[str, Any]:
    """The last extension; nothing for a study that was never extended."""
    return next(reversed(_extensions(row)), {})


def _is_known(session: Session, row: StudyRow, by: Extension, key: str) -> bool:
    asked = Events(session).contents("extended", row.id)
    earlier: Any = next((content["by"] for content in asked if content["key"] == key), None)
    if earlier is not None and earlier != encode(by):
        raise Conflict(
            f"Idempotency-Key {key!r} was used for another extension of study {row.id}",
            hint="use a fresh key for every extension",
        )
    return earlier is not None


def _checked(row: StudyRow, by: Extension, ran: Tally) -> Study:
    study = study_of(row)
    extensions = len(_extensions(row))
    if row.looks_before + extensions >= MOST:
        began = f" and began with results that have {row.looks_before} answers elsewhere"
        detail = f"study {row.id} was extended {extensions} times"
        hint = "begin another study, without its results"
        raise Conflict(detail + (began if row.looks_before else ""), hint=hint)
    budget = study.search.budget
    spent = ran.seconds.get(Purpose.SEARCH, 0.0)
    spent += counted(budget, ran.seconds.get(Purpose.SURVEY, 0.0))
    if by.ordered and spent >= limit_seconds(budget):
        hint = "begin another study with its results and more search.budget.gpu_hours"
        raise Conflict(
            f"the {budget.gpu_hours:g} GPU hours of study {row.id} are used up", hint=hint
        )
    _check_trials(row, study.search.budget.trials, by.ordered)
    return study.extended(by)


def _check_trials(row: StudyRow, had: int, more: int) -> None:
    layers = len(space_of(row.space).layers)
    most = most_trials(layers) - len(earlier_of(row.earlier))
    if had + more > most:
        problem = f"makes {had + more:,}, more than can be planned on {layers:,} layers"
        fix = f"add {max(most - had, 0):,} or fewer"
        raise InvalidInput("trials", more, problem, fix=fix)
