"""What a study's model says of its own trustworthiness: calibration, and the noise of trials."""

from sqlalchemy import select
from sqlalchemy.orm import Session

import perfmodel
from perfmodel import ModelState
from perfmodel.evidence.calibration import Result, calibrate
from rankspace import Purpose
from rankspace.calibration import Calibration, Noise
from rankspace.errors import Conflict
from service.insights.knowledge import Planned, knowledge, nobody
from service.storage.documents import study_of
from service.storage.tables import ObservationRow, TrialRow
from service.studies.repository import Studies


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


def study_noise(session: Session, study: str, planned: Planned = nobody) -> Noise:
    """Estimate the noise.

    Raises:
        NotFound: There is no such study.
        Conflict: Too few trials have a score.
    """
    found = known_noise(knowledge(session, study, planned))
    if found is None:
        raise Conflict(f"study {study} has too few scores", hint="wait for its first trials")
    return found


def known_noise(state: ModelState | None) -> Noise | None:
    """Return the model's estimate; None before there is one."""
    found = perfmodel.noise_estimate(state) if state else None
    if state is None or found is None:
        return None
    return Noise(found.sd, found.low, found.high, _source(state, found.freedom))


def _source(state: ModelState, freedom: float) -> str:
    scores = len(state.scored)
    repeats = scores - len({seen.rank_vector for seen in state.scored})
    beside = f", {repeats} of them repeats" if repeats else ""
    return f"what {scores} scores{beside} leave unexplained, {freedom:.0f} degrees of freedom"
