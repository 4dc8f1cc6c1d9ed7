"""The noise of a study's trials, as its performance model estimates it."""

from sqlalchemy.orm import Session

import perfmodel
from perfmodel import ModelState
from rankspace.calibration import Noise
from rankspace.errors import Conflict
from service.insights.knowledge import Planned, knowledge, nobody


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
