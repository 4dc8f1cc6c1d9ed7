"""What a finished survey said, vector by vector."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from rankspace import Measurement, RankVector
from rankspace.lease import SurveyOrder
from rankspace.observation import Surveyed
from rankspace.wire import decode, only
from service.storage.tables import ObservationRow, TrialRow


def order_of(trial: TrialRow) -> SurveyOrder | None:
    """What the trial trains on and scores; None unless it is a survey."""
    return None if trial.survey is None else decode(SurveyOrder, trial.survey)


def scores_of(session: Session, trial: int) -> tuple[Surveyed, ...]:
    """The scores of a survey that is done; none of any other trial."""
    found = session.execute(
        select(TrialRow.survey, ObservationRow.measurement)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(TrialRow.id == trial)
    ).one_or_none()
    ordered, measured = found or (None, None)
    if ordered is None or measured is None:
        return ()
    vectors = decode(SurveyOrder, ordered).vectors
    return paired(vectors, decode(Measurement, only(Measurement, measured)).scores)


def paired(vectors: tuple[tuple[int, ...], ...], scores: tuple[float, ...]) -> tuple[Surveyed, ...]:
    """Each vector with its score, in the order in which they were ordered."""
    pairs = zip(vectors, scores, strict=True)
    return tuple(Surveyed(RankVector(tuple(ranks)), score) for ranks, score in pairs)
