"""Score against parameters: the model's front, with what the verification found."""

from dataclasses import replace

from sqlalchemy.orm import Session

import perfmodel.evidence.front
from perfmodel import ModelState
from rankspace import Verdict
from rankspace.front import Front, Verified
from service.insights.calibration import known_calibration
from service.storage.documents import verdict_of
from service.storage.tables import StudyRow
from service.studies.findings import findings_of
from service.trials.results import verified


def known_front(session: Session, row: StudyRow, state: ModelState) -> Front | None:
    """Return the front, or None before there is a score."""
    trust = known_calibration(session, row, state).trust
    findings, runs = findings_of(session, row), verified(session, row.id)
    found = perfmodel.evidence.front.front(state, runs, findings, trust)
    verdict = verdict_of(row.verdict, row.answer)
    if found is None or verdict is None:
        return found
    return replace(found, verified=_cheapest(verdict))


def _cheapest(verdict: Verdict) -> Verified | None:
    if verdict.versus_uniform_cheapest is None:
        return None
    return Verified(
        verdict.cheapest_rank_vector,
        verdict.cheapest_parameters,
        verdict.versus_uniform_cheapest,
    )
