"""StudyResults: all that the finished trials of a study say to its next step, kept in memory.

The observations in the database are the truth. Each of them is read once, in the order of
acceptance, so results that grew with the study equal those opened after a crash.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from sqlalchemy.orm import Session

from perfmodel import ModelState, digest, inform, noise_estimate
from rankspace import Proposal, Purpose, RankVector, SearchSpace, Study
from rankspace.lease import KeptAdapter
from rankspace.study import StrategyName
from service.artifacts.repository import Artifacts
from service.planning.fits import Fits
from service.planning.learning import extended, first_state, learned, proposals
from service.storage.documents import (
    belief_of,
    context_of,
    earlier_of,
    space_of,
    study_of,
    submitted_of,
    taught_of,
)
from service.studies.repository import Studies
from service.trials.results import Result, results_after
from service.trials.surveys import scores_of

log = structlog.get_logger(__name__)

PART = 2_000
"""Results read at once."""

FITTED = (StrategyName.ADDITIVE, StrategyName.BLEND)
"""Strategies that fit the additive model anyway, which says what a trial's noise is."""

LEAST_KEPT, KEPT_GROWTH = 100, 1.05
"""Scores from which on a refit is kept for a restart, and how many more the next one is of."""

GROUP_BYTES = 72
"""Of a group of held-out texts in a result: its loss and how many tokens, as Python keeps them."""

LARGEST_KEPT = 32 << 20
"""Bytes of a refit beyond which it is learned anew rather than kept."""


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """What the results said at one moment: the number of the last result, and the model's state."""

    sequence: int
    state: ModelState


Planned: TypeAlias = Callable[[str], ModelSnapshot | None]
"""What the planning of this process knows of a study; None where it does not plan it."""


@dataclass(slots=True)
class StudyResults:
    """One study's finished trials; mutable, for one thread.

    Attributes:
        id: Identity of the study.
        study: As it was when they were opened, the extensions until then included.
        space: Its search space.
        state: What the model knows; its observations are the results it began with and the finished
            search trials.
        sequence: Number of the last result read.
        scored: Search trials with a score.
        last_error: Of the search trials that failed.
        search_seconds: Wall clock of the finished search trials.
        survey_seconds: Of the survey before them, and of what was scored on its adapter later.
        surveys: Claims of the survey with scores, which the model knows.
        further: Vectors that the claims after the first of them have scored.
        elastic: The adapter of the first of them, to score further vectors on.
        seeds: Highest seed of each vector among the finished search and control trials.
        best_control: The first of those with the highest score.
        controls: Finished control trials.
        control_scores: Theirs by vector; None where it failed.
        later: Finished trials of survey, verification and recovery.
        kept: A refit of earlier, to go on from, until the results are read.
        kept_scores: Scores that the one is of that was last kept.
        is_warm: Whether the model has proposed, so that the next proposal is quick.
        extensions: How often the study had been extended.
        earlier: Results it began with, which the model knows beside its own.
    """

    id: str
    study: Study
    space: SearchSpace
    state: ModelState
    sequence: int = 0
    scored: int = 0
    last_error: str | None = None
    search_seconds: float = 0.0
    survey_seconds: float = 0.0
    seeds: dict[RankVector, int] = field(default_factory=dict)
    best_control: Result | None = None
    controls: int = 0
    control_scores: dict[RankVector, float | None] = field(default_factory=dict)
    later: list[Result] = field(default_factory=list)
    kept: bytes | None = None
    kept_scores: int = field(default=0, compare=False)
    is_warm: bool = False
    extensions: int = 0
    earlier: int = 0
    surveys: int = 0
    further: int = 0
    elastic: KeptAdapter | None = None

    @classmethod
    def open(cls, session: Session, study: str) -> "StudyResults":
        """Begin an empty one.

        Raises:
            NotFound: There is no such study.
        """
        row = Studies(session).get(study)
        document, space = study_of(row), space_of(row.space)
        context, belief = context_of(row.context), belief_of(row.belief)
        given, taught = earlier_of(row.earlier), taught_of(row.earlier)
        submitted = submitted_of(row)
        state = first_state(space, submitted.search, context, belief, given, taught)
        more = document.search.budget.trials - submitted.search.budget.trials
        return cls(
            study,
            document,
            space,
            extended(state, more) if more else state,
            kept=Fits(session).of(study),
            extensions=len(row.extensions or ()),
            earlier=len(given),
        )

    @property
    def known(self) -> ModelSnapshot:
        """For other threads: it stays as it is while the results go on."""
        return ModelSnapshot(self.sequence, self.state)

    @property
    def searched(self) -> int:
        """Finished search trials."""
        return len(self.state.observations) - self.earlier

    @property
    def noise(self) -> float | None:
        """What the model takes one trial's noise for; None before two trials have a score.

        And for strategies whose predictions come of another model alone: fitting this one beside,
        with every proposal, would hold up the planning.
        """
        if self.state.strategy not in FITTED:
            return None
        found = noise_estimate(self.state)
        return None if found is None else found.sd

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        others = (self.controls + len(self.later)) * 8 * len(self.space.layers)
        groups = sum(len(one.texts.losses) for one in self.later if one.texts)
        return self.state.size + others + GROUP_BYTES * groups

    def catch_up(self, session: Session, until: float = math.inf) -> bool:
        """Read what was accepted since the last time.

        Returns:
            Whether that was all; else the time, on ``time.monotonic``'s clock, was up before.
        """
        while True:
            found = results_after(session, self.id, self.sequence, PART)
            self._hear(session, found)
            self._enter_all(found)
            if len(found) < PART:
                return self._take_up(until)
            if time.monotonic() >= until:
                return False

    def derive(self, until: float = math.inf) -> bool:
        """Have the model learn piece by piece what the next proposal asks of it.

        Returns:
            Whether it is done; else the time was up before.
        """
        while not digest(self.state):
            if time.monotonic() >= until:
                return False
        return True

    def propose(self, count: int, pending: Sequence[RankVector]) -> tuple[Proposal, ...]:
        self.state, made = proposals(self.state, count, pending)
        self.is_warm = True
        return made

    def rest(self) -> None:
        """Take as little memory as may be until there is something to do again."""
        self.state.rest()

    def of(self, purpose: Purpose) -> tuple[Result, ...]:
        """Finished trials of survey, verification or recovery, in the order of acceptance."""
        return tuple(result for result in self.later if result.purpose is purpose)

    def _take_up(self, until: float) -> bool:
        """Go on from the kept fit, which rests on what the survey said; else the time was up."""
        while self.kept is not None and not self.state.hear():
            if time.monotonic() >= until:
                return False
        if self.kept is not None and not self.state.take_up(self.kept):
            log.warning("a kept fit is not of these results, or damaged", study=self.id)
        elif self.kept is not None:
            self.kept_scores = self.state.fitted  # it is there: the next one is of more
        self.kept = None
        return True

    def fit_to_keep(self) -> bytes | None:
        """The model's last refit, if it is of so many more results than the one kept before."""
        known = max(LEAST_KEPT, 1 + int(KEPT_GROWTH * self.kept_scores))
        content = self.state.kept_fit(known)
        if content is None:
            return None
        self.kept_scores = self.state.fitted
        return content if len(content) <= LARGEST_KEPT else None

    def _hear(self, session: Session, results: Sequence[Result]) -> None:
        """Learn what a survey says; further scores change what the trials before them say."""
        for result in results:
            if result.purpose is Purpose.SURVEY and result.score is not None:
                scores = scores_of(session, result.trial)
                self.state = inform(self.state, scores)
                self.further += len(scores) if self.surveys else 0
                self.surveys += 1
                self.kept_scores, self.is_warm = 0, False
                if self.elastic is None:
                    self.elastic = _weights(session, result.trial)

    def _enter_all(self, results: Sequence[Result]) -> None:
        searched = [result for result in results if result.purpose is Purpose.SEARCH]
        seen = [result.observation(self.study) for result in searched]
        self.state = learned(self.state, seen)
        for result in results:
            self._enter(result)

    def _enter(self, result: Result) -> None:
        if result.purpose is Purpose.SEARCH:
            self._enter_search(result)
        elif result.purpose is Purpose.CONTROL:
            self._enter_control(result)
        else:
            self.later.append(result)
            self.survey_seconds += result.seconds if result.purpose is Purpose.SURVEY else 0.0
        self.sequence = result.sequence

    def _enter_search(self, result: Result) -> None:
        self.scored += result.score is not None
        self.last_error = result.error or self.last_error
        self.search_seconds += result.seconds
        self._note_seed(result)

    def _enter_control(self, result: Result) -> None:
        self.controls += 1
        known = self.control_scores.get(result.rank_vector)
        self.control_scores[result.rank_vector] = result.score if known is None else known
        best = self.best_control
        if result.score is not None and (best is None or result.score > _score(best)):
            self.best_control = result
        self._note_seed(result)

    def _note_seed(self, result: Result) -> None:
        vector, seed = result.rank_vector, result.seed
        self.seeds[vector] = max(seed, self.seeds.get(vector, seed))


def _weights(session: Session, trial: int) -> KeptAdapter | None:
    row = Artifacts(session).weights(trial)
    return None if row is None else KeptAdapter(row.trial_id, row.sha256, row.bytes)


def _score(result: Result) -> float:
    assert result.score is not None
    return result.score
