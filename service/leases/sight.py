"""Which trials and workers a key may see, as conditions of the lease protocol's statements."""

from sqlalchemy import ColumnElement, bindparam, exists, or_, select, true

from service.scope import ALL, Scope
from service.tables import AttemptRow, StudyRow, TrialRow, WorkerRow

_PROJECT = bindparam("project", type_=StudyRow.project.type)

IS_SEEN = or_(_PROJECT == ALL, StudyRow.project == _PROJECT)
"""Where studies are joined: those of the parameter ``project``."""

IS_TRIAL_SEEN = exists(select(1).where(StudyRow.id == TrialRow.study_id, IS_SEEN))
"""Where they are not."""


def is_worker_seen(scope: Scope) -> ColumnElement[bool]:
    """Workers that ever held a trial of the scope's project."""
    worked = (
        select(AttemptRow.trial_id)
        .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(AttemptRow.worker == WorkerRow.name, StudyRow.project == scope.project)
    )
    return true() if scope.is_everything else exists(worked)
