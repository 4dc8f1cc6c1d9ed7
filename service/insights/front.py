"""Score against parameters: the model's front, with what the verification found."""

from dataclasses import replace

from sqlalchemy.orm import Session

import perfmodel.evidence.front
from rankspace import Verdict
from rankspace.errors import Conflict
from rankspace.front import Front, Verified
from service.insights.knowledge import Planned, knowledge, nobody
from service.storage.documents import verdict_of
from service.studies.repository import Studies


def front_of(study: str, found: Front | None) -> Front:
    """Return what was found.

    Raises:
        Conflict: No trial of ``study`` has a score yet.
    """
    if found is None:
        raise Conflict(f"study {study} has no score yet", hint="wait for its first trial")
    return found


def known_front(session: Session, study: str, planned: Planned = nobody) -> Front | None:
    """Return the front, or None before there is a score."""
    row = Studies(session).get(study)
    found = perfmodel.evidence.front.front(knowledge(session, study, planned))
    verdict = verdict_of(row.verdict)
    if found is None or verdict is None:
        return found
    return replace(found, verified=_verified(verdict))


def _verified(verdict: Verdict) -> Verified | None:
    if verdict.versus_uniform_cheapest is None:
        return None
    return Verified(
        verdict.cheapest_rank_vector,
        verdict.cheapest_parameters,
        verdict.versus_uniform_cheapest,
    )
