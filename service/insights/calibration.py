"""What a study's model says of its own trustworthiness: calibration, and the noise of trials."""

from sqlalchemy import select
from sqlalchemy.orm import Session

import perfmodel
from perfmodel import ModelState
from perfmodel.evidence.calibration import Result, calibrate
from rankspace import Purpose
from rankspace.calibration import Calibration, Noise
from service.storage.documents import study_of
from service.storage.tables import ObservationRow, StudyRow, TrialRow


def known_calibration(session: Session, row: StudyRow, state: ModelState) -> Calibration:
    """Judge what was predicted of the study's search trials."""
    return calibrate(_results(session, row), known_noise(state))


def _results(session: Session, row: StudyRow) -> list[Result]:
    """Scored search trials that ran all their steps on the shared seed, in order of acceptance."""
    search = study_of(row).search
    steps = ObservationRow.measurement["steps"].as_integer()
    said = (TrialRow.id, TrialRow.mean, TrialRow.std)
    columns = (*said, ObservationRow.score, TrialRow.noise, steps)
    found = (
        select(*columns)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(
            TrialRow.study_id == row.id,
            TrialRow.purpose == Purpose.SEARCH,
            TrialRow.seed == search.seed,
            ObservationRow.score.is_not(None),
        )
        .order_by(ObservationRow.sequence)
    )
    return [
        Result(trial, mean, std, score, noise)
        for trial, mean, std, score, noise, took in session.execute(found)
        if took in (0, search.trial.steps)  # 0: a vector without an adapter has nothing to train
    ]


def known_noise(state: ModelState) -> Noise | None:
    """Return the model's estimate; None before there is one."""
    found = perfmodel.noise_estimate(state)
    if found is None:
        return None
    return Noise(found.sd, found.low, found.high, _source(state, found.freedom))


def _source(state: ModelState, freedom: float) -> str:
    scores = len(state.scored)
    repeats = scores - len({seen.rank_vector for seen in state.scored})
    beside = f", {repeats} of them repeats" if repeats else ""
    return f"what {scores} scores{beside} leave unexplained, {freedom:.0f} degrees of freedom"
