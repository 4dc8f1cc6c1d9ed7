"""The conductor: carries studies from stage to stage. The only writer of proposals."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from rankspace.study import StudyState
from service.db import Database
from service.doorbell import Doorbell
from service.events import Events
from service.metrics.metrics import Metrics
from service.stages.basis import Basis, read_basis
from service.stages.ledger import Known, Ledger
from service.stages.plan import Plan, Proposed, Turn
from service.stages.recovering import plan_recovery
from service.stages.searching import plan_search
from service.stages.verifying import plan_verification
from service.studies.repository import Studies
from service.trials.repository import Trials
from service.trials.workflow import queue, withdraw

log = structlog.get_logger(__name__)

Announce = Callable[[str, StudyState], None]
"""Hears of every turn of a study, after its commit; must return at once."""

PATIENCE_SECONDS = 1.0
"""How long a study waits that another service is planning: it may have stopped in the middle, and
there are other studies to plan."""

LEDGERS = 64
"""Studies whose ledgers are kept open."""

PLANNERS: Mapping[StudyState, Callable[[Basis], Plan]] = MappingProxyType(
    {
        StudyState.SEARCHING: plan_search,
        StudyState.VERIFYING: plan_verification,
        StudyState.RECOVERING: plan_recovery,
    }
)


class Conductor:
    """Advances studies; only the planning thread may call it.

    Of several services on one database one at a time plans a study, whichever was asked; the others
    wait a moment, and then find nothing left to do, go on from there, or leave it to their next
    turn. Each keeps a ledger of its own, and as ledgers say the same, so do their proposals.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        active_seconds: float,
        metrics: Metrics,
        announce: Announce = lambda study, state: None,
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._active_seconds = active_seconds
        self._metrics = metrics
        self._announce = announce
        self._ledgers: OrderedDict[str, Ledger] = OrderedDict()
        self._known: dict[str, Known] = {}

    def known(self, study: str) -> Known | None:
        """What the model of a study knows that is planned here; from any thread."""
        return self._known.get(study)

    def active(self) -> Sequence[str]:
        """Studies that go on by themselves, oldest first."""
        with self._database.reading() as session:
            return Studies(session).active()

    def advance(self, study: str) -> None:
        """Do all that can be done for ``study`` now; a study that cannot go on fails, visibly."""
        try:
            while self._timed_step(study):
                pass
        except NotFound:
            self._close(study)  # deleted meanwhile
        except SQLAlchemyError as error:
            self._close(study)
            log.error("study has to wait", study=study, exc_info=error)  # the steward retries
        except Exception as error:
            self._close(study)
            log.error("study cannot go on", study=study, exc_info=error)
            self._fail(study, f"the study cannot go on: {type(error).__name__}: {error}")

    def warm(self, study: str) -> None:
        """Have the model derive now what the first proposal after a restart would wait for."""
        ledger = self._ledgers.get(study)
        if ledger is not None and ledger.searched and not ledger.is_warm:
            ledger.propose(1, ())

    def _timed_step(self, study: str) -> bool:
        with self._metrics.planning.time():
            return self._step(study)

    def _step(self, study: str) -> bool:
        """Plan from a snapshot, write if it still holds; return whether to look again."""
        with self._database.attempt(f"plan {study}", PATIENCE_SECONDS) as is_alone:
            return is_alone and self._planned(study)  # if not, the steward asks again

    def _planned(self, study: str) -> bool:
        with self._database.reading() as session:
            basis = read_basis(session, self._ledger(session, study), self._active_seconds)
        planner = PLANNERS.get(basis.head.state)
        plan = planner(basis) if planner else Plan()
        self._known[study] = basis.ledger.known
        if plan.is_empty:
            return False
        with self._database.writing() as session:
            if not basis.still_holds(session):
                return True
            _write(session, study, plan)
        if plan.made:
            self._doorbell.ring(plan.made)
        if plan.turn:
            self._announce(study, plan.turn.state)
        return plan.turn is not None

    def _ledger(self, session: Session, study: str) -> Ledger:
        """The study's ledger; those used least lately are closed, to be opened anew."""
        ledger = self._ledgers.pop(study, None) or Ledger.open(session, study)
        self._ledgers[study] = ledger
        while len(self._ledgers) > LEDGERS:
            self._close(next(iter(self._ledgers)))
        return ledger

    def _close(self, study: str) -> None:
        self._ledgers.pop(study, None)
        self._known.pop(study, None)

    def _fail(self, study: str, error: str) -> None:
        try:
            with self._database.writing() as session:
                if Studies(session).locked(study).state not in PLANNERS:
                    return
                _turn(session, study, Turn(StudyState.FAILED, error=error))
        except (NotFound, SQLAlchemyError) as further:
            log.error("study has to wait", study=study, exc_info=further)
        else:
            self._announce(study, StudyState.FAILED)


def _write(session: Session, study: str, plan: Plan) -> None:
    if plan.watermark is not None:
        Studies(session).mark(study, plan.watermark)
    if plan.withdrawn:
        withdraw(session, study, plan.withdrawn)
    if plan.proposed:
        _offer(session, study, plan.proposed)
    for planned in plan.queued:
        queue(session, study, planned)
    if plan.turn:
        _turn(session, study, plan.turn)


def _offer(session: Session, study: str, proposed: Proposed) -> None:
    trials = Trials(session)
    kept = len(proposed.renewed)
    for trial, planned in zip(proposed.renewed, proposed.offers, strict=False):
        trials.renew_offer(trial, planned)
    added = [trials.queue(study, planned) for planned in proposed.offers[kept:]]
    offers = [
        {"trial": trial, "rank_vector": planned.rank_vector.ranks, "seed": planned.seed}
        for trial, planned in zip((*proposed.renewed, *added), proposed.offers, strict=True)
    ]
    content = {"watermark": proposed.watermark, "pending": proposed.pending, "offers": offers}
    Events(session).record("proposed", study, **content)


def _turn(session: Session, study: str, turn: Turn) -> None:
    row = Studies(session).get(study)
    row.state, row.error = turn.state.value, turn.error
    if turn.state is not StudyState.FAILED:
        row.stage = turn.state.value
    row.arms = turn.arms if turn.arms is not None else row.arms
    row.verdict = turn.verdict if turn.verdict is not None else row.verdict
    content: dict[str, Any] = {"error": turn.error, "arms": turn.arms, "verdict": turn.verdict}
    Events(session).record(turn.state.value, study, None, **content)
