"""A person's own candidates: measured like the model's, and learned from like them."""

from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector
from rankspace.errors import Conflict
from rankspace.study import StudyState
from service.storage.documents import space_of, study_of
from service.studies.repository import Studies
from service.trials.planned import PlannedTrial, next_seed
from service.trials.repository import Trials
from service.trials.workflow import keep_within, queue, withdraw


def add_candidate(session: Session, study_id: str, vector: RankVector) -> int:
    """Queue ``vector`` as one of the study's search trials, before the model's offers.

    An offer of the same vector, and those the budget has no room for any more, are withdrawn.

    Raises:
        InvalidInput: The vector is not in the study's space.
        Conflict: The search is over, or its budget is used up.
    """
    row = Studies(session).locked(study_id)
    study = study_of(row.document)
    space_of(row.space).check(vector)
    if row.stage != StudyState.SEARCHING or row.state not in (row.stage, StudyState.PAUSED):
        raise Conflict(f"study {study_id} is {row.state}", hint="add candidates while it searches")
    trials, budget = Trials(session), study.search.budget.trials
    if trials.taken(study_id) >= budget:
        hint = "submit a study with more trials"
        raise Conflict(f"all {budget} search trials are taken", hint=hint)
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
    trial = queue(session, study_id, planned)
    keep_within(session, study_id, budget)
    return trial
