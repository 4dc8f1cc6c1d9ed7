"""In which type of base weights the results of a study were measured that does not say it."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from rankspace.recipe import AUTOMATIC
from service.storage.tables import ObservationRow

_FIRST = (
    select(ObservationRow.measurement)
    .where(ObservationRow.study_id == bindparam("study"), ObservationRow.measurement.is_not(None))
    .order_by(ObservationRow.sequence)
    .limit(1)
)


def measured_dtype(session: Session, study: str) -> str | None:
    """Return the type that the device of the first result chose; None without results.

    Of a study of before types were fixed, whose recipe leaves it to the device.
    """
    measurement = session.scalar(_FIRST, {"study": study})
    if not isinstance(measurement, dict):
        return None
    device = str(measurement.get("versions", {}).get("device", ""))
    if not device:
        return None
    return AUTOMATIC["cpu" if device.startswith("cpu") else "cuda"]
