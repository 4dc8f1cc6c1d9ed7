"""What a study's results are measured on, those of before anybody said so included."""

from dataclasses import replace

from sqlalchemy.orm import Session

from rankspace.recipe import UNSTATED_READING, Inputs
from service.trials.repository import Trials


def measured_on(session: Session, study: str, submitted: Inputs) -> Inputs:
    """Tell what the results of ``study`` are measured on.

    Where there are some and nobody has said how their data were read, they are those of workers of
    before protocol 3, which all read alike.
    """
    if submitted.reading is None and Trials(session).has_score(study):
        return replace(submitted, reading=UNSTATED_READING)
    return submitted


def are_asked_for(submitted: Inputs) -> bool:
    """Whether results have to state what workers of before protocol 3 cannot."""
    return submitted not in (Inputs(), Inputs(reading=UNSTATED_READING))
