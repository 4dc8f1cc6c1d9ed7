"""The type of a study's base weights, where its recipe leaves it to the device."""

from dataclasses import replace

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from rankspace.lease import Capabilities
from rankspace.recipe import AUTOMATIC, Recipe
from service.storage.tables import AttemptRow, StudyRow, TrialRow
from service.studies.measured_dtype import measured_dtype
from service.studies.repository import Studies

_SETTLED = select(StudyRow.base_dtype).where(StudyRow.id == bindparam("study"))
_CLAIMS = select(AttemptRow).join(TrialRow, TrialRow.id == AttemptRow.trial_id)
_STANDING = _CLAIMS.where(
    TrialRow.study_id == bindparam("of"), AttemptRow.outcome.is_distinct_from("released")
)
_UNSETTLE = (
    update(StudyRow)
    .where(StudyRow.id == bindparam("of"), StudyRow.origin.is_(None), ~_STANDING.exists())
    .values(base_dtype=None)
    .execution_options(synchronize_session=False)
)


def settle(session: Session, study: str, able: Capabilities | None) -> str | None:
    """Fix the type of a locked study's base weights, if nobody has: all its trials have it then.

    What its results, or those that it began with, were measured in decides; without any, the worker
    that claims: bfloat16 with a GPU, float32 without. One of protocol 1 does not say: it counts as
    having one where the study asks for its memory.

    Returns:
        The type, if it was fixed now.
    """
    if session.scalar(_SETTLED, {"study": study}) is not None:
        return None
    row = Studies(session).locked(study)
    has_gpu = (row if able is None else able).gpu_memory_gib > 0
    asked = Studies(session).study(study).recipe.dtype
    of_device = AUTOMATIC["cuda" if has_gpu else "cpu"]
    dtype = asked if asked != "auto" else measured_dtype(session, study) or of_device
    row.base_dtype = dtype
    return dtype


def unsettle(session: Session, study: str) -> None:
    """Leave the type of a locked study to the next claim, if all there were have been given back.

    Nothing was measured then; and who gave one back may have been unable to run it, and never come
    again. A claim that expired may still be reported.
    """
    if Studies(session).study(study).recipe.dtype == "auto":
        session.execute(_UNSETTLE, {"of": study})


def settled(recipe: Recipe, dtype: str | None) -> Recipe:
    """Say in a recipe what its study's type is; workers of every version do as it says."""
    named = next((name for name in AUTOMATIC.values() if name == dtype), None)
    return recipe if named is None else replace(recipe, dtype=named)
