"""A person's own candidates: measured like the model's, and learned from like them."""

from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector
from rankspace.errors import Conflict
from rankspace.study import StudyState
from service.storage.documents import space_of, study_of
from service.storage.events import Events
from service.storage.tables import StudyRow
from service.studies.repository import Studies
from service.trials.planned import PlannedTrial, next_seed
from service.trials.repository import Trials
from service.trials.workflow import keep_within, queue, withdraw


def add_candidate(
    session: Session, study_id: str, vector: RankVector, key: str | None = None
) -> tuple[int, bool]:
    """Queue ``vector`` as one of the study's search trials, before the model's offers.

    An offer of the same vector, and those the budget has no room for any more, are withdrawn.

    Returns:
        The trial, and whether it is new; with an idempotency key seen before it is not.

    Raises:
        InvalidInput: The vector is not in the study's space.
        Conflict: The search is over, its budget is used up, or the key was used for another vector.
    """
    row = Studies(session).locked(study_id)
    study = study_of(row)
    space_of(row.space).check(vector)
    known = None if key is None else _queued(session, study_id, vector, key)
    if known is not None:
        return known, False
    _check_open(session, row, study.search.budget.trials)
    trials = Trials(session)
    replaced = [offer.id for offer in trials.offers(study_id) if offer.rank_vector == vector]
    withdraw(session, study_id, replaced)
    planned = PlannedTrial(
        purpose=Purpose.SEARCH,
        rank_vector=vector,
        seed=next_seed(study.search.seed, vector, trials.runs_of(study_id, vector)),
        steps=study.search.trial.steps,
        priority=1,
        reason="a person's candidate",
    )
    trial = queue(session, study_id, planned, **({} if key is None else {"key": key}))
    keep_within(session, study_id, study.search.budget.trials)
    return trial, True


def _queued(session: Session, study: str, vector: RankVector, key: str) -> int | None:
    """The trial that ``key`` queued, if any."""
    for trial, content in Events(session).queued_by_people(study):
        if content.get("key") == key:
            if tuple(content["rank_vector"]) != vector.ranks:
                raise Conflict(
                    f"Idempotency-Key {key!r} was used for another rank vector",
                    hint="use a fresh key for every vector",
                )
            return trial
    return None


def _check_open(session: Session, row: StudyRow, budget: int) -> None:
    if row.stage != StudyState.SEARCHING or row.state not in (row.stage, StudyState.PAUSED):
        hint = "add candidates while it searches; a study that is done can be extended first"
        raise Conflict(f"study {row.id} is {row.state}", hint=hint)
    if Trials(session).taken(row.id) >= budget:
        hint = "extend the study when it is done, or begin another one with its results"
        raise Conflict(f"all {budget} search trials are taken", hint=hint)
