"""Snapshot: everything the next step of a study may depend on, read in one transaction.

The steps themselves are functions of it. Writing happens in a second transaction, which looks
whether the snapshot still holds and gives up when it does not: thinking never holds up a heartbeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, false, func, select, union_all
from sqlalchemy.orm import Session

from perfmodel.evidence.arms import Arms, Controls
from perfmodel.evidence.fresh_seeds import FreshSeeds
from rankspace import Purpose, RankVector, SearchSpace, Study, TrialState, Verdict
from rankspace.study import StudyState
from service.planning.stranding import is_stranded
from service.planning.study_results import StudyResults
from service.storage.documents import arms_of, controls_of, verdict_of
from service.storage.tables import AttemptRow, ObservationRow, StudyRow, TrialRow, WatermarkRow
from service.studies.findings import fresh_seeds
from service.studies.repository import Studies, unknown
from service.studies.time_limit import counted
from service.workers.repository import Workers

_STUDY: BindParameter[Any] = bindparam("study")

_HEAD = (
    select(
        StudyRow.state,
        StudyRow.retries,
        WatermarkRow.results,
        StudyRow.arms,
        StudyRow.controls,
        StudyRow.verdict,
        StudyRow.answer,
        StudyRow.extensions,
        StudyRow.looks_before,
    )
    .outerjoin(WatermarkRow, WatermarkRow.study_id == StudyRow.id)
    .where(StudyRow.id == _STUDY)
)

_IS_OPEN = (TrialRow.study_id == _STUDY) & TrialRow.state.in_(
    (TrialState.QUEUED.value, TrialState.RUNNING.value)
)

_OPEN = (
    select(
        TrialRow.id,
        TrialRow.purpose,
        (TrialRow.token > 0).label("claimed"),
        TrialRow.is_offer,
        TrialRow.rank_vector,
        TrialRow.seed,
        TrialRow.rate,
        (TrialRow.state == TrialState.RUNNING.value).label("runs"),
    )
    .where(_IS_OPEN)
    .order_by(TrialRow.id)
)

_SINCE = union_all(
    select(TrialRow.id, TrialRow.is_offer).where(_IS_OPEN),
    select(ObservationRow.trial_id, false()).where(
        ObservationRow.study_id == _STUDY, ObservationRow.sequence > bindparam("sequence")
    ),
)
"""Trials that are open, or that have ended since: identity, and whether it is an offer."""


_SPENT = select(func.sum(AttemptRow.seconds)).where(
    AttemptRow.trial_id.in_(bindparam("trials", expanding=True))
)


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """A trial that is queued or runs; ``claimed`` if it ever was, ``runs`` if somebody has it."""

    id: int
    purpose: Purpose
    claimed: bool
    is_offer: bool
    rank_vector: RankVector
    seed: int
    rate: float = 1.0
    runs: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What people and earlier steps decided of a study.

    ``watermark`` is None before the first step; ``extensions`` counts how often it was extended,
    ``looks_before`` the answers that were seen before it began.
    """

    state: StudyState
    retries: int
    watermark: int | None
    arms: Arms | None
    controls: Controls | None
    verdict: Verdict | None
    extensions: int = 0
    looks_before: int = 0

    @property
    def looks(self) -> int:
        """Answers, or chances of one, before the verification of now: each has its own seeds."""
        return self.looks_before + self.extensions


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        head: What was decided so far.
        results: Its finished trials.
        trials: Its open trials, by identity.
        workers: Workers seen lately.
        open_seconds: Time spent on ended attempts of open search trials.
        is_survey_stranded: Whether its survey waits for workers that do not come.
    """

    head: Head
    results: StudyResults
    trials: tuple[OpenTrial, ...]
    workers: int
    open_seconds: float
    is_survey_stranded: bool = False

    @property
    def study(self) -> Study:
        return self.results.study

    @property
    def space(self) -> SearchSpace:
        return self.results.space

    @property
    def seeds(self) -> FreshSeeds:
        """Of the verification of now, and of the recovery after it."""
        return fresh_seeds(self.study, self.head.looks, self.head.controls)

    @property
    def watermark(self) -> int:
        """Finished search trials that the offers rest on."""
        return self.head.watermark or 0

    @property
    def search_seconds(self) -> float:
        """Of what the time limit is on."""
        surveyed = counted(self.study.search.budget, self.results.survey_seconds)
        return self.results.search_seconds + self.open_seconds + surveyed

    def of(self, *purposes: Purpose) -> tuple[OpenTrial, ...]:
        return tuple(trial for trial in self.trials if trial.purpose in purposes)

    @property
    def offers(self) -> tuple[OpenTrial, ...]:
        return tuple(trial for trial in self.trials if trial.is_offer)

    @property
    def under_way(self) -> tuple[OpenTrial, ...]:
        """Open search trials that are no offers."""
        return tuple(trial for trial in self.of(Purpose.SEARCH) if not trial.is_offer)

    @property
    def taken(self) -> int:
        """Search trials the budget has paid for."""
        return self.results.searched + len(self.under_way)

    def still_holds(self, session: Session) -> bool:
        """Whether what was planned from this may be written.

        A result that arrived since is learned by the next step. Anything else that changed, a
        person's word or a claim, may contradict the plan. From here on nothing changes any more.
        """
        there = {trial.id: trial.is_offer for trial in self.trials}
        Studies(session).lock(self.results.id)
        since = {"study": self.results.id, "sequence": self.results.sequence}
        now = {trial: bool(is_offer) for trial, is_offer in session.execute(_SINCE, since)}
        return now == there and read_head(session, self.results.id) == self.head


def read_snapshot(session: Session, results: StudyResults, active_seconds: float) -> Snapshot:
    """Read what else there is beside ``results``, which have caught up in the same ``session``.

    Raises:
        NotFound: The study was deleted.
    """
    head = read_head(session, results.id)
    trials = _open_trials(session, results.id)
    surveys = head.state is StudyState.SURVEYING
    return Snapshot(
        head=head,
        results=results,
        trials=trials,
        workers=Workers(session).active(active_seconds),
        open_seconds=_seconds(session, trials),
        is_survey_stranded=surveys and is_stranded(session, results.id, active_seconds),
    )


def read_head(session: Session, study: str) -> Head:
    row = session.execute(_HEAD, {"study": study}).one_or_none()
    if row is None:
        raise unknown(study)
    state, retries, watermark, arms, controls, verdict, answer, extensions, looks_before = row
    return Head(
        state=StudyState(state),
        retries=retries,
        watermark=watermark,
        arms=arms_of(arms),
        controls=controls_of(controls),
        verdict=verdict_of(verdict, answer),
        extensions=len(extensions or ()),
        looks_before=looks_before,
    )


def _open_trials(session: Session, study: str) -> tuple[OpenTrial, ...]:
    return tuple(
        OpenTrial(
            row.id,
            Purpose(row.purpose),
            bool(row.claimed),
            bool(row.is_offer),
            row.rank_vector,
            row.seed,
            row.rate,
            bool(row.runs),
        )
        for row in session.execute(_OPEN, {"study": study})
    )


def _seconds(session: Session, trials: Sequence[OpenTrial]) -> float:
    mine = [trial.id for trial in trials if trial.purpose is Purpose.SEARCH and trial.claimed]
    return float(session.scalar(_SPENT, {"trials": mine}) or 0.0) if mine else 0.0
