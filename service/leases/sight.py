"""Which trials a key may see, as conditions of the lease protocol's statements."""

from sqlalchemy import bindparam, exists, or_, select

from service.scope import ALL
from service.tables import StudyRow, TrialRow

_PROJECT = bindparam("project", type_=StudyRow.project.type)

IS_SEEN = or_(_PROJECT == ALL, StudyRow.project == _PROJECT)
"""Where studies are joined: those of the parameter ``project``."""

IS_TRIAL_SEEN = exists(select(1).where(StudyRow.id == TrialRow.study_id, IS_SEEN))
"""Where they are not."""
