"""A person's own candidates: measured like the model's, and learned from like them."""

from sqlalchemy.orm import Session

from rankspace import Purpose, RankVector, TrialState
from rankspace.errors import Conflict
from rankspace.study import StudyState
from service.documents import space_of, study_of
from service.events import Events
from service.studies.repository import Studies
from service.trials.planned import PlannedTrial
from service.trials.repository import Trials


def add_candidate(session: Session, study_id: str, vector: RankVector) -> int:
    """Queue ``vector`` as one of the study's search trials, before the model's offers.

    Raises:
        InvalidInput: The vector is not in the study's space.
        Conflict: The search is over, or its budget is used up.
    """
    row = Studies(session).get(study_id)
    study = study_of(row.document)
    space_of(row.space).check(vector)
    if row.stage != StudyState.SEARCHING or row.state not in (row.stage, StudyState.PAUSED):
        raise Conflict(f"study {study_id} is {row.state}", hint="add candidates while it searches")
    mine = [trial for trial, _ in Trials(session).of_study(study_id)]
    search = [trial for trial in mine if trial.purpose == Purpose.SEARCH]
    taken = [t for t in search if not t.proposed or t.token or t.state != TrialState.QUEUED]
    if len(taken) >= study.search.budget.trials:
        hint = "submit a study with more trials"
        raise Conflict(f"all {study.search.budget.trials} search trials are taken", hint=hint)
    planned = PlannedTrial(
        purpose=Purpose.SEARCH,
        rank_vector=vector,
        seed=study.search.seed + sum(trial.rank_vector == vector for trial in taken),
        steps=study.search.trial.steps,
        priority=1,
        reason="a person's candidate",
    )
    trial = Trials(session).queue(study_id, planned)
    content = {"purpose": planned.purpose, "rank_vector": vector.ranks, "seed": planned.seed}
    Events(session).record("queued", study_id, trial, **content)
    return trial
