"""Predictions and results of a study, read for its calibration."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from perfmodel.calibration import Result, calibrate
from rankspace import Purpose
from rankspace.calibration import Calibration
from service.documents import study_of
from service.insights.knowledge import Planned, knowledge, nobody
from service.insights.noise import known_noise
from service.studies.repository import Studies
from service.tables import ObservationRow, TrialRow


def study_calibration(session: Session, study: str, planned: Planned = nobody) -> Calibration:
    """Judge what was predicted of the study's search trials.

    Raises:
        NotFound: There is no such study.
    """
    return calibrate(_results(session, study), known_noise(knowledge(session, study, planned)))


def _results(session: Session, study: str) -> list[Result]:
    """Scored search trials that ran all their steps on the shared seed, in order of acceptance."""
    search = study_of(Studies(session).get(study).document).search
    steps = ObservationRow.measurement["steps"].as_integer()
    columns = (TrialRow.id, TrialRow.mean, TrialRow.std, ObservationRow.score, steps)
    found = (
        select(*columns)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(
            TrialRow.study_id == study,
            TrialRow.purpose == Purpose.SEARCH,
            TrialRow.seed == search.seed,
            ObservationRow.score.is_not(None),
        )
        .order_by(ObservationRow.sequence)
    )
    return [
        Result(trial, mean, std, score)
        for trial, mean, std, score, took in session.execute(found)
        if took in (0, search.trial.steps)  # 0: a vector without an adapter has nothing to train
    ]
