"""The type of a study's base weights, where its recipe leaves it to the device."""

from dataclasses import replace

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from rankspace.lease import Capabilities
from rankspace.recipe import AUTOMATIC, Recipe
from service.storage.tables import StudyRow
from service.studies.measured_dtype import measured_dtype
from service.studies.repository import Studies

_SETTLED = select(StudyRow.base_dtype).where(StudyRow.id == bindparam("study"))


def settle(session: Session, study: str, able: Capabilities | None) -> str | None:
    """Fix the type of a locked study's base weights, if nobody has: all its trials have it then.

    What its results were measured in decides; without any, the worker that claims: bfloat16 with a
    GPU, float32 without, and for one of protocol 1, which does not say.

    Returns:
        The type, if it was fixed now.
    """
    if session.scalar(_SETTLED, {"study": study}) is not None:
        return None
    row = Studies(session).locked(study)
    has_gpu = able is not None and able.gpu_memory_gib > 0
    asked = Studies(session).study(study).recipe.dtype
    of_device = AUTOMATIC["cuda" if has_gpu else "cpu"]
    dtype = asked if asked != "auto" else measured_dtype(session, study) or of_device
    row.base_dtype = dtype
    return dtype


def settled(recipe: Recipe, dtype: str | None) -> Recipe:
    """Say in a recipe what its study's type is; workers of every version do as it says."""
    named = next((name for name in AUTOMATIC.values() if name == dtype), None)
    return recipe if named is None else replace(recipe, dtype=named)
