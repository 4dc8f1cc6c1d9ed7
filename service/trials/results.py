"""Results: what finished trials say, read in the order in which the service accepted them."""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from perfmodel.evidence.rungs.recovered_metrics import Evaluated
from perfmodel.evidence.scores import Scored
from rankspace import Measurement, Observation, Purpose, RankVector, Study, TrialState
from rankspace.observation import TextLosses
from rankspace.wire import decode, only
from service.storage.documents import texts_of
from service.storage.tables import AttemptRow, ObservationRow, TrialRow


@dataclass(frozen=True, slots=True)
class Result:
    """A finished trial.

    Attributes:
        sequence: Its number in the order of acceptance within the study, from 1.
        trial: Identity.
        purpose: Why it ran.
        rank_vector: What was tried.
        seed: It ran with.
        score: None when it failed.
        texts: Its losses by held-out text, where it was asked for them.
        steps: Optimiser steps it really took; None when it failed.
        seconds: Wall clock of all its attempts.
        error: Why it failed.
        rate: Factor on the recipe's learning rate.
        died: Whether it was given up after losing its workers.
        kept: Whether its adapter was to be uploaded, and was if it has a score.
    """

    sequence: int
    trial: int
    purpose: Purpose
    rank_vector: RankVector
    seed: int
    score: float | None
    texts: TextLosses | None
    steps: int | None
    seconds: float
    error: str | None
    rate: float = 1.0
    died: bool = False
    kept: bool = False

    def observation(self, study: Study) -> Observation:
        """See it as the performance model does."""
        share = fidelity(study, self.steps)
        return Observation(self.rank_vector, self.score, self.seed, share)


PARTS = 20
"""Parts of a trial its fidelity counts in: trials stopped at about the same step are comparable."""


def fidelity(study: Study, steps: int | None) -> float:
    """Share of the full recipe that a search trial was trained for.

    Args:
        study: The recovery's steps are the full recipe; one that counts epochs tells none, and
            then a whole search trial is.
        steps: The trial took; None for a failed one, 0 without any adapter to train: both count
            as whole search trials.
    """
    whole = study.search.trial.steps
    taken = max(round(PARTS * (steps or whole) / whole), 1) / PARTS
    return min(taken * whole / (study.recover.steps or whole), 1.0)


_SPENT = (
    select(func.coalesce(func.sum(AttemptRow.seconds), 0.0))
    .where(AttemptRow.trial_id == TrialRow.id)
    .scalar_subquery()
)

_AFTER = (
    select(
        ObservationRow.sequence,
        TrialRow.id,
        TrialRow.purpose,
        TrialRow.rank_vector,
        TrialRow.seed,
        ObservationRow.score,
        ObservationRow.texts,
        ObservationRow.measurement["steps"].as_integer(),
        _SPENT,
        TrialRow.error,
        TrialRow.rate,
        TrialRow.state == TrialState.DEAD.value,
        TrialRow.keep_adapter,
    )
    .join(TrialRow, TrialRow.id == ObservationRow.trial_id)
    .where(
        ObservationRow.study_id == bindparam("study"),
        ObservationRow.sequence > bindparam("sequence"),
    )
    .order_by(ObservationRow.sequence)
    .limit(bindparam("most"))
)


def results_after(session: Session, study: str, sequence: int, most: int) -> tuple[Result, ...]:
    """Read the first ``most`` accepted after ``sequence``; few columns, for the next step's use."""
    found = session.execute(_AFTER, {"study": study, "sequence": sequence, "most": most})
    return tuple(
        Result(number, trial, Purpose(purpose), vector, seed, score, texts_of(texts), *rest)
        for number, trial, purpose, vector, seed, score, texts, *rest in found
    )


def evaluated(session: Session, study: str) -> tuple[Evaluated, ...]:
    """What every finished recovery scored on the metrics, in the order of acceptance."""
    found = (
        select(TrialRow.rank_vector, TrialRow.seed, ObservationRow.measurement)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id == study, TrialRow.purpose == Purpose.RECOVER)
        .where(ObservationRow.score.is_not(None))
        .order_by(ObservationRow.sequence)
    )
    return tuple(
        Evaluated(vector, seed, decode(Measurement, only(Measurement, measured)).metrics)
        for vector, seed, measured in session.execute(found)
    )


def verified(session: Session, study: str) -> tuple[Scored, ...]:
    """Every finished verification trial, in the order of acceptance."""
    found = (
        select(TrialRow.rank_vector, TrialRow.seed, ObservationRow.score)
        .add_columns(ObservationRow.texts, TrialRow.rate)
        .join(ObservationRow, ObservationRow.trial_id == TrialRow.id)
        .where(TrialRow.study_id == study, TrialRow.purpose == Purpose.VERIFY)
        .order_by(ObservationRow.sequence)
    )
    return tuple(
        Scored(vector, seed, score, texts_of(texts), rate)
        for vector, seed, score, texts, rate in session.execute(found)
    )
