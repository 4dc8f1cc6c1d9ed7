"""The planner: carries studies from stage to stage. The only writer of proposals."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from rankspace.study import StudyState
from rankspace.wire import encode
from service.planning.fits import Fits
from service.planning.further import is_heard_anew
from service.planning.listener import Listener
from service.planning.plan import Plan, Proposed, Turn
from service.planning.recovering import plan_recovery
from service.planning.searching import plan_search, wants_proposals
from service.planning.snapshot import Snapshot, read_snapshot
from service.planning.study_results import ModelSnapshot, StudyResults
from service.planning.surveying import is_survey_in, plan_survey
from service.planning.verifying import plan_verification
from service.storage.db import Database
from service.storage.documents import plain_verdict
from service.storage.events import Events
from service.studies.repository import Studies, enter
from service.trials.repository import Trials
from service.trials.workflow import queue, withdraw

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a study waits that another service is planning: it may have stopped in the middle, and
there are other studies to plan."""

THREADS = 2
"""Studies planned at a time, of one project only one: what one project has planned, however long
it takes, leaves a thread to the others."""

PLANNERS: Mapping[StudyState, Callable[[Snapshot], Plan]] = MappingProxyType(
    {
        StudyState.SURVEYING: plan_survey,
        StudyState.SEARCHING: plan_search,
        StudyState.VERIFYING: plan_verification,
        StudyState.RECOVERING: plan_recovery,
    }
)


class StudyPlanner:
    """Advances studies; only the planning threads may call it, one per study at a time.

    Of several services on one database one at a time plans a study, whichever was asked; the others
    wait a moment, and then find nothing left to do, go on from there, or leave it to their next
    turn. Each keeps results of its own, and as they say the same, so do their proposals.

    Args:
        database: Where the studies are.
        active_seconds: How long a worker counts after its last sign of life.
        open_bytes: What the open results of studies may take in memory, as far as their models and
            trials are it.
        listener: Hears of what was done.
    """

    def __init__(
        self, database: Database, active_seconds: float, open_bytes: int, listener: Listener
    ) -> None:
        self._database = database
        self._active_seconds = active_seconds
        self._open_bytes = open_bytes
        self._listener = listener
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._results: OrderedDict[str, StudyResults] = OrderedDict()
        self._known: dict[str, ModelSnapshot] = {}

    def known(self, study: str) -> ModelSnapshot | None:
        """What the model of a study knows that is planned here; from any thread."""
        return self._known.get(study)

    def start(self) -> None:
        """It is there: this is for one in another process."""

    is_alive = True

    def stop(self) -> None:
        """Have whatever is under way end at its next step."""
        self._stopping.set()

    def advance(self, study: str, until: float = math.inf) -> bool:
        """Do all that can be done for ``study`` now; a study that cannot go on fails, visibly.

        Returns:
            Whether that was all. Else the time was up, on ``time.monotonic``'s clock.
        """
        try:
            while self._timed_step(study, until):
                if self._is_over(until):
                    return False
        except NotFound:
            self._close(study)  # deleted meanwhile
        except (SQLAlchemyError, MemoryError) as error:  # memory: perhaps another study's doing
            self._close(study)
            self._listener.postponed(study)
            log.error("study has to wait", study=study, exc_info=error)  # housekeeping retries
        except Exception as error:
            self._close(study)
            log.error("study cannot go on", study=study, exc_info=error)
            problem = f"the study cannot go on: {type(error).__name__}: {error}"
            fail(self._database, self._listener, study, problem)
        return True

    def warm(self, study: str, until: float = math.inf) -> bool:
        """Have the model derive now what the first proposal after a restart would wait for.

        Returns:
            Whether that is done; else the time was up.
        """
        results = self._results.get(study)
        if results is None or not results.searched or results.is_warm:
            return True
        if not results.derive(until):
            return False
        results.propose(1, ())
        self._keep_fit(results)
        self._note(results)
        return True

    def _keep_fit(self, results: StudyResults) -> None:
        content = results.fit_to_keep()
        if content is not None:
            with self._database.writing() as session:
                Studies(session).lock(results.id)
                Fits(session).keep(results.id, content)

    def _note(self, results: StudyResults) -> None:
        """Say what is known now to whoever looks at it."""
        results.rest()
        with self._lock:
            if results.id in self._results:
                self._known[results.id] = results.known

    def _is_over(self, until: float) -> bool:
        return time.monotonic() >= until or self._stopping.is_set()

    def _timed_step(self, study: str, until: float) -> bool:
        begin = time.perf_counter()
        try:
            return self._step(study, until)
        finally:
            self._listener.took(time.perf_counter() - begin)

    def _step(self, study: str, until: float) -> bool:
        """Plan from a snapshot, write if it still holds; return whether to look again."""
        with self._database.attempt(f"plan {study}", PATIENCE_SECONDS) as is_alone:
            if is_alone:
                try:
                    return self._planned(study, until)
                finally:
                    self._make_room(study)
        self._listener.postponed(study)  # whoever is at it may stop in the middle
        return False

    def _planned(self, study: str, until: float) -> bool:
        snapshot = self._snapshot(study, until)
        if snapshot is None:
            return True
        results = snapshot.results
        if _asks_the_model(snapshot) and not results.derive(until):
            return True
        planner = PLANNERS.get(snapshot.head.state)
        plan = planner(snapshot) if planner else Plan()
        self._keep_fit(results)
        self._note(results)
        if plan.is_empty:
            return False
        with self._database.writing() as session:
            if not (snapshot.still_holds(session) and _cancelled(session, plan)):
                return True
            _write(session, study, plan)
        if plan.made:
            self._listener.offered(plan.made)
        if plan.turn:
            self._listener.turned(study, plan.turn.state)
        return plan.turn is not None

    def _snapshot(self, study: str, until: float) -> Snapshot | None:
        """Read the study; None if there is more to read, or if it is to be opened anew."""
        with self._database.reading() as session:
            results = self._results_of(session, study)
            if not results.catch_up(session, until):
                return None
            snapshot = read_snapshot(session, results, self._active_seconds)
        if snapshot.head.extensions == results.extensions:
            return snapshot
        self._close(study)  # it was extended, here or by another service
        return None

    def _results_of(self, session: Session, study: str) -> StudyResults:
        """The study's results, from now on those that were used last."""
        with self._lock:
            results = self._results.pop(study, None)
        results = results or StudyResults.open(session, study)
        with self._lock:
            self._results[study] = results
        return results

    def _make_room(self, mine: str) -> None:
        """Close what was used least lately, to be opened anew.

        Those stay in any case that the planning threads have just opened: a study that is learned
        in pieces goes on before others of its project, so there are no more of them than threads.
        """
        with self._lock:
            sizes = {study: results.size for study, results in self._results.items()}
        total = sum(sizes.values())
        for study in [*sizes][:-THREADS]:
            if total <= self._open_bytes:
                return
            if study != mine:
                total -= sizes[study]
                self._close(study)

    def _close(self, study: str) -> None:
        with self._lock:
            self._results.pop(study, None)
            self._known.pop(study, None)


def fail(database: Database, listener: Listener, study: str, error: str) -> None:
    """Have ``study`` stand as failed, unless it is over; what ``error`` says is shown with it."""
    try:
        with database.writing() as session:
            if Studies(session).locked(study).state not in PLANNERS:
                return
            _turn(session, study, Turn(StudyState.FAILED, error=error))
    except (NotFound, SQLAlchemyError) as further:
        listener.postponed(study)
        log.error("study has to wait", study=study, exc_info=further)
    else:
        listener.turned(study, StudyState.FAILED)


def _asks_the_model(snapshot: Snapshot) -> bool:
    return wants_proposals(snapshot) or is_survey_in(snapshot) or is_heard_anew(snapshot)


def _noted(before: str | None, more: str | None) -> str | None:
    """Both, each once: a study that was extended comes here again."""
    if not before or not more:
        return more or before
    return before if more in before else f"{before}; {more}"


def _cancelled(session: Session, plan: Plan) -> bool:
    """Whether nobody has what the plan cancels; it is done then, and else nothing is."""
    return not plan.cancelled or Trials(session).cancel_queued(plan.cancelled)


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
    heard = {"surveys": proposed.surveys} if proposed.surveys else {}
    Events(session).record("proposed", study, **content, **heard)


def _turn(session: Session, study: str, turn: Turn) -> None:
    row = Studies(session).get(study)
    enter(row, turn.state)
    row.error = turn.error
    row.note = _noted(row.note, turn.note)
    row.arms = encode(turn.arms) or row.arms
    row.controls = encode(turn.controls) or row.controls
    if turn.verdict:
        row.verdict, row.answer = encode(plain_verdict(turn.verdict)), encode(turn.verdict)
    content: dict[str, Any] = {"error": turn.error, "arms": turn.arms, "verdict": turn.verdict}
    if turn.controls:
        content["controls"] = turn.controls
    if turn.note:
        content["note"] = turn.note
    Events(session).record(turn.state.value, study, None, **content)
