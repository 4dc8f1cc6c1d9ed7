"""Basis: everything the next step of a study may depend on, read in one transaction.

The steps themselves are pure functions of it. Writing happens in a second transaction, which
reads the basis again and gives up when it no longer holds: thinking never holds up a heartbeat.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from rankspace import Observation, Purpose, RankVector, SearchSpace, Study, TrialState
from rankspace.study import StudyState
from rankspace.trial import FINISHED
from service.documents import space_of, study_of
from service.leases.repository import Leases
from service.studies.repository import Studies
from service.tables import ObservationRow, StudyRow, TrialRow
from service.trials.repository import Trials


@dataclass(frozen=True, slots=True)
class TrialFact:
    """What a step needs to know of one trial."""

    id: int
    purpose: Purpose
    state: TrialState
    claimed: bool
    is_offer: bool
    rank_vector: RankVector
    seed: int
    sequence: int | None
    score: float | None
    error: str | None

    @property
    def is_over(self) -> bool:
        return self.state in FINISHED

    def observation(self) -> Observation:
        return Observation(self.rank_vector, self.score, self.seed)


@dataclass(frozen=True, slots=True)
class Basis:
    """A study at one moment.

    Attributes:
        id: Identity of the study.
        state: What it does now.
        study: As submitted.
        space: Its search space.
        blob: Stored model state, or None before the first.
        watermark: Finished search trials ``blob`` has learned.
        trials: Every trial, by identity.
        workers: Workers seen lately.
        search_seconds: Time spent on ended search attempts.
        arms: The candidates under verification.
        verdict: The stored verdict.
        retries: How often a person resumed it after a failure.
    """

    id: str
    state: StudyState
    study: Study
    space: SearchSpace
    blob: bytes | None
    watermark: int
    trials: tuple[TrialFact, ...]
    workers: int
    search_seconds: float
    arms: Any | None
    verdict: Any | None
    retries: int

    def of(self, *purposes: Purpose) -> tuple[TrialFact, ...]:
        return tuple(trial for trial in self.trials if trial.purpose in purposes)

    @property
    def offers(self) -> tuple[TrialFact, ...]:
        return tuple(trial for trial in self.trials if trial.is_offer)

    @property
    def taken(self) -> tuple[TrialFact, ...]:
        """Search trials that are no offers: these the budget has paid for."""
        return tuple(trial for trial in self.of(Purpose.SEARCH) if not trial.is_offer)

    def still_holds(self, now: "Basis") -> bool:
        """Whether what was planned from this may be written.

        A result that arrived since is learned by the next step. Anything else that changed, a
        person's word or a claim, may contradict the plan.
        """
        return self._grounds() == now._grounds()

    def _grounds(self) -> tuple[object, ...]:
        trials = [(trial.id, trial.is_offer) for trial in self.trials]
        return self.state, self.retries, self.watermark, trials

    def accepted(self, purpose: Purpose) -> tuple[TrialFact, ...]:
        """Trials of ``purpose`` with a result, in the order in which results were accepted."""
        over = [trial for trial in self.of(purpose) if trial.sequence is not None]
        return tuple(sorted(over, key=lambda trial: trial.sequence or 0))


def read_basis(session: Session, study_id: str, active_seconds: float) -> Basis:
    row = Studies(session).get(study_id)
    knowledge = Studies(session).knowledge(study_id)
    trials = Trials(session)
    return Basis(
        id=study_id,
        state=StudyState(row.state),
        study=study_of(row.document),
        space=space_of(row.space),
        blob=knowledge.blob if knowledge else None,
        watermark=knowledge.watermark if knowledge else 0,
        trials=tuple(_fact(*pair) for pair in trials.of_study(study_id)),
        workers=Leases(session).active_workers(active_seconds),
        search_seconds=_search_seconds(row, trials),
        arms=row.arms,
        verdict=row.verdict,
        retries=row.retries,
    )


def _search_seconds(row: StudyRow, trials: Trials) -> float:
    return trials.seconds(row.id).get(Purpose.SEARCH, 0.0)


def _fact(row: TrialRow, result: ObservationRow | None) -> TrialFact:
    return TrialFact(
        id=row.id,
        purpose=Purpose(row.purpose),
        state=TrialState(row.state),
        claimed=row.token > 0,
        is_offer=row.is_offer,
        rank_vector=row.rank_vector,
        seed=row.seed,
        sequence=result.sequence if result else None,
        score=result.score if result else None,
        error=row.error,
    )
