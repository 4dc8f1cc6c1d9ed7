"""Queueing and withdrawing trials, each with its entry in the history."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.storage.events import Events
from service.trials.planned import PlannedTrial
from service.trials.repository import Trials


def queue(session: Session, study: str, planned: PlannedTrial, **more: Any) -> int:
    """Order a trial that runs whatever the model learns meanwhile; the history keeps ``more``."""
    trial = Trials(session).queue(study, planned)
    content = {
        "purpose": planned.purpose,
        "rank_vector": planned.rank_vector.ranks,
        "seed": planned.seed,
        **_surveyed(planned),
        **more,
    }
    Events(session).record("queued", study, trial, **content)
    return trial


def _surveyed(planned: PlannedTrial) -> dict[str, Any]:
    """What a survey scores, and on whose adapter where it trains none."""
    order = planned.survey
    if order is None:
        return {}
    on = {"adapter": order.adapter.trial} if order.adapter else {}
    return {"surveyed": order.vectors, **on}


def withdraw(session: Session, study: str, trials: Sequence[int]) -> None:
    """Take back those of ``trials`` that are still offers or controls nobody claimed."""
    deleted = Trials(session).withdraw(trials)
    if deleted:
        Events(session).record("withdrawn", study, trials=deleted)


def keep_within(session: Session, study: str, budget: int) -> None:
    """Take back the offers for which ``budget`` search trials leave no room."""
    trials = Trials(session)
    room = max(budget - trials.taken(study), 0)
    withdraw(session, study, [offer.id for offer in trials.offers(study)[room:]])
