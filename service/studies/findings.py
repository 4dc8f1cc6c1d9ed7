"""Findings: what the verifications of a study found of the promises of its model.

Each rests on the arms, the number of seeds and the confidence of its own verification. An extension
replaces all three, so what was found before it is kept as it was found, and never judged again.
"""

from sqlalchemy.orm import Session

from perfmodel.evidence.verification import Scored, checked
from rankspace import Purpose, Study
from rankspace.front import Checked, Finding
from rankspace.wire import decode
from service.storage.documents import arms_of, space_of, study_of
from service.storage.tables import StudyRow
from service.trials.results import scores_of

FRESH_SEEDS = 1_000_000
"""Added to the study's seed, and once more for each answer before: a verification shares none with
the search, however often it repeats, and none with an earlier one, also of the study whose results
this one began with."""


def first_seed(study: Study, looks: int) -> int:
    """The first one of the verification after so many answers."""
    return study.search.seed + FRESH_SEEDS * (1 + looks)


def verified_of(session: Session, row: StudyRow) -> tuple[Scored, ...]:
    """Finished trials of all verifications of a study."""
    return tuple(Scored(*one) for one in scores_of(session, row.id, Purpose.VERIFY))


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
    study, looks = study_of(row.document), row.looks_before + len(row.extensions or ())
    return checked(
        arms,
        verified_of(session, row),
        study.verify,
        first_seed(study, looks),
        space_of(row.space),
        looks,
    )
