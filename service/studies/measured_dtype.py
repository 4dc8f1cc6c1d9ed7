"""In which type of base weights the results of a study were measured that does not say it."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from rankspace.recipe import AUTOMATIC
from service.storage.tables import ObservationRow, StudyRow

_KNOWN = select(StudyRow.base_dtype, StudyRow.origin).where(StudyRow.id == bindparam("study"))
_FIRST = (
    select(ObservationRow.measurement)
    .where(ObservationRow.study_id == bindparam("study"), ObservationRow.measurement.is_not(None))
    .order_by(ObservationRow.sequence)
    .limit(1)
)


def measured_dtype(session: Session, study: str) -> str | None:
    """Return the type that is fixed, else the one that the device of the first result chose.

    A study of before types were fixed has none, if its recipe leaves it to the device; without a
    result of its own it is compared with those that it began with. None where there are none.
    """
    found = session.execute(_KNOWN, {"study": study}).one_or_none()
    if found is None:  # it was deleted; what it handed on does not say
        return None
    fixed, origin = found
    chosen = fixed or _chosen(session.scalar(_FIRST, {"study": study}))
    return chosen or (measured_dtype(session, origin) if origin else None)


def _chosen(measurement: object) -> str | None:
    if not isinstance(measurement, dict):
        return None
    device = str(measurement.get("versions", {}).get("device", ""))
    if not device:
        return None
    return AUTOMATIC["cpu" if device.startswith("cpu") else "cuda"]
