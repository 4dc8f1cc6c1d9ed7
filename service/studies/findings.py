"""Findings: what the verifications of a study found of the promises of its model.

Each rests on the arms, the number of seeds and the confidence of its own verification. An extension
replaces all three, so what was found before it is kept as it was found, and never judged again; in
the form that a service of the version before reads, so without the worst seed and the texts.
"""

from typing import Any

from sqlalchemy.orm import Session

from perfmodel.evidence.fresh_seeds import FreshSeeds
from perfmodel.evidence.verification import NO_CONTROLS, checked
from rankspace import Study
from rankspace.front import Checked, Finding
from rankspace.wire import decode
from service.storage.documents import arms_of, controls_of, space_of, study_of
from service.storage.tables import StudyRow
from service.trials.results import verified


def fresh_seeds(study: Study, looks: int, controls: Any) -> FreshSeeds:
    """Seeds of the verification after so many answers.

    One that began without ``controls``, before seeds were hashed, keeps those that it counts up.
    """
    return FreshSeeds(study.search.seed, looks, counted=controls is None)


def findings_of(session: Session, row: StudyRow) -> tuple[Checked, ...]:
    """What the last verification that has looked found, and what earlier ones refuted."""
    kept = tuple(decode(Checked, one, "checked") for one in row.checked or ())
    found = _found_now(session, row)
    if found is None:
        return kept
    judged = {one.rank_vector for one in found}
    refuted = (one for one in kept if one.finding is Finding.REFUTED)
    return (*found, *(one for one in refuted if one.rank_vector not in judged))


def _found_now(session: Session, row: StudyRow) -> tuple[Checked, ...] | None:
    """By the verification after the last extension; None before its first look."""
    arms = arms_of(row.arms)
    if arms is None:
        return None
    study, looks = study_of(row), row.looks_before + len(row.extensions or ())
    return checked(
        arms,
        verified(session, row.id),
        study.verify,
        fresh_seeds(study, looks, row.controls),
        space_of(row.space),
        controls_of(row.controls) or NO_CONTROLS,
    )
