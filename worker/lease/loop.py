"""The worker's life: deliver what waits, claim, run, report, again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from rankspace.errors import CannotOpen, LeaseLost, Quarantined, RankspaceError, Unreachable
from rankspace.lease import ADAPTER_FILES, Action, Assignment, Capabilities
from rankspace.lease.queue_names import served
from rankspace.observation import Measurement
from tuning import memory
from tuning.training import OnStep
from worker.lease.drain import Drain, Drained
from worker.lease.heartbeat import HeartbeatThread, Renewer
from worker.lease.hints import NoHints, Waits
from worker.lease.kept_adapters import KeptAdapters
from worker.lease.report import SpooledReport, done, failed, text_of
from worker.lease.spool import Spool
from worker.lease.watchdog import Watchdog

PAUSE_SECONDS = 0.1
"""Least time between two claims, should the service answer at once with nothing to be done."""

FETCH_SECONDS = 600.0
"""How long a service that does not hand out a survey's adapter is asked: it may be one of before,
or its disk be broken, and the search's end waits for whoever is at further scores."""

log = structlog.get_logger(__name__)


class Service(Protocol):
    """What the loop needs of the service; ``worker.lease.client.LeaseClient`` is one."""

    def claim(self, wait_seconds: float, able: Capabilities | None = None) -> Assignment | None: ...
    def heartbeat(self, lease: Assignment, interim: Sequence[tuple[int, float]]) -> Action: ...
    def upload(self, report: SpooledReport, file: Path) -> None: ...
    def report(self, report: SpooledReport) -> str: ...
    def release(self, lease: Assignment, reason: str | None = None) -> None: ...
    def fetch(self, lease: Assignment, target: BinaryIO, most: int) -> None: ...


class Evaluates(Protocol):
    """``worker.trial.evaluation.Evaluator``."""

    @property
    def resumed_at(self) -> int: ...

    def capabilities(self) -> Capabilities: ...

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker stays.

    Attributes:
        wait_seconds: How long one claim may wait for work, 0 to 30.
        away_seconds: Pause after the service did not answer.
        max_trials: Leave after so many trials; None for never.
        until_idle_seconds: Leave so long after the first of claims that all found no work; None for
            never.
        grace_seconds: Once asked to leave, finish a trial whose training is over so soon.
        stuck_seconds: End the process when a trial has not moved for so long.
        quarantine_seconds: Pause between claims while the service gives this worker no trials.
    """

    wait_seconds: float = 20.0
    away_seconds: float = 5.0
    max_trials: int | None = None
    until_idle_seconds: float | None = None
    grace_seconds: float = 0.0
    stuck_seconds: float = 3600.0
    quarantine_seconds: float = 60.0


class Worker:
    """Runs trials one at a time until it is drained or its patience ends.

    Args:
        name: The worker's name, as the service knows it.
        service: For claims and reports.
        renewer: For heartbeats, from another thread.
        evaluator: Runs a trial.
        spool: Keeps reports until they are delivered.
        drain: Asks the worker to leave.
        patience: How long to stay.
        hints: Where to wait for work; without it, at the service.
    """

    def __init__(  # noqa: PLR0913  # wired in one place, worker.run
        self,
        name: str,
        service: Service,
        renewer: Renewer,
        evaluator: Evaluates,
        spool: Spool,
        *,
        drain: Drain,
        patience: Patience,
        hints: Waits | None = None,
    ) -> None:
        self._name = name
        self._service = service
        self._renewer = renewer
        self._evaluator = evaluator
        self._spool = spool
        self._drain = drain
        self._patience = patience
        self._hints = hints or NoHints()
        self._kept_adapters = KeptAdapters(spool.kept_adapters)
        self._trials = 0
        self._idle_since: float | None = None
        self._broken: RankspaceError | None = None
        self._is_quarantined = False

    def run(self) -> int:
        """Work; return the number of trials run.

        Raises:
            Unauthenticated, Forbidden, UnsupportedVersion: The operator must act first.
            RankspaceError: The GPU broke down.
        """
        try:
            while not self._finished():
                self._turn()
            self._deliver_unkept()
        except Drained:
            log.info("draining")
        self._spool.deliver(self._service)
        if self._spool.unkept:
            log.error("reports_lost", reports=self._spool.unkept)
        return self._trials

    def _deliver_unkept(self) -> None:
        """Leave of its own accord only when no report would be lost by that."""
        while self._spool.deliver(self._service) and self._spool.unkept:
            self._drain.sleep(self._patience.away_seconds)

    def _finished(self) -> bool:
        most, idle = self._patience.max_trials, self._patience.until_idle_seconds
        if most is not None and self._trials >= most:
            return True
        if idle is None or self._idle_since is None:
            return False
        return time.monotonic() - self._idle_since >= idle

    def _turn(self) -> None:
        self._spool.deliver(self._service)
        self._spool.sweep_in_time()
        lease = self._claim()
        if lease is None:
            self._idle_since = self._idle_since or time.monotonic()
            self._drain.sleep(PAUSE_SECONDS)
            return
        if self._spool.holds(lease):
            # Claiming while a report is under way brings the same lease: it has been run already.
            self._drain.sleep(self._patience.away_seconds)
            return
        self._idle_since = None
        try:
            self._run(lease)
        except CannotOpen:  # given back: the service has other studies, or waits before this one
            self._drain.sleep(PAUSE_SECONDS)  # or is of the release before, and brings it again
            return
        self._trials += 1

    def _claim(self) -> Assignment | None:
        asked = False
        try:
            with self._drain.interruptible():
                asked = True
                found = self._ask()
            self._note_quarantine(None)
            return found
        except Drained:
            if asked:
                self._return_granted()
            raise
        except Quarantined as error:
            self._note_quarantine(error)
            self._drain.sleep(self._patience.quarantine_seconds)
            return None
        except Unreachable as error:
            log.warning("service_away", problem=error.detail)
        self._drain.sleep(self._patience.away_seconds)
        return None

    def _note_quarantine(self, error: Quarantined | None) -> None:
        """Log the beginning and the end, not every time it asks."""
        if error is not None and not self._is_quarantined:
            log.error("worker_quarantined", problem=error.detail, fix=error.hint)
        if error is None and self._is_quarantined:
            log.info("worker_reinstated")
        self._is_quarantined = error is not None

    def _ask(self) -> Assignment | None:
        able, wait = self._evaluator.capabilities(), self._wait_seconds()
        if not self._hints.is_usable:
            return self._service.claim(wait, able)
        found = self._service.claim(0, able)
        routes = served(able.gpu_memory_gib, able.architectures, able.resident)
        if found is None and self._hints.wait(routes, wait):
            found = self._service.claim(0, able)
        return found

    def _wait_seconds(self) -> float:
        idle = self._patience.until_idle_seconds
        return min(self._patience.wait_seconds, idle or self._patience.wait_seconds)

    def _run(self, lease: Assignment) -> None:
        with structlog.contextvars.bound_contextvars(
            study=lease.study_name, trial=lease.trial_id, token=lease.token
        ):
            log.info("trial_started", purpose=lease.purpose, seed=lease.seed, steps=lease.steps)
            watchdog = Watchdog(self._patience.stuck_seconds)
            with watchdog, HeartbeatThread(self._renewer, lease) as heartbeat:
                report = self._report(lease, heartbeat, watchdog)
                if report is not None:  # its files may take longer to upload than a lease lasts
                    self._spool.put(report)
                    self._spool.send(self._service, report)
            if self._broken is not None:
                raise self._broken
            if heartbeat.draining:
                self._drain.request()

    def _report(
        self, lease: Assignment, heartbeat: HeartbeatThread, watchdog: Watchdog
    ) -> SpooledReport | None:
        try:
            measurement = self._evaluator.evaluate(
                lease,
                self._on_step(lease, heartbeat, watchdog),
                self._spool.adapter_directory(lease),
                self._kept_adapter(lease),
            )
        except LeaseLost as error:
            log.warning("trial_dropped", problem=error.detail)
            self._spool.discard(lease)
            return None
        except Drained:
            self._give_back(lease)
            raise
        except CannotOpen as error:
            log.error(
                "study_not_opened", problem=error.detail, fix=error.hint, exc_info=_cause(error)
            )
            self._give_back(lease, text_of(error))
            raise
        except Exception as error:  # noqa: BLE001  # a trial must not end the worker
            return self._failed(lease, error)
        log.info(
            "trial_done", loss=measurement.loss, steps=measurement.steps, **measurement.seconds
        )
        return done(lease, self._name, measurement, time.time(), self._kept(lease))

    def _kept_adapter(self, lease: Assignment) -> Path | None:
        """Fetch what ``lease`` scores on; a service that is away is waited for, as for work."""
        end = time.monotonic() + FETCH_SECONDS
        while True:
            try:
                return self._kept_adapters.of(lease, self._service)
            except Unreachable as error:
                if time.monotonic() >= end:
                    raise
                log.warning("adapter_not_fetched", problem=error.detail)
            self._drain.sleep(self._patience.away_seconds)

    def _on_step(self, lease: Assignment, heartbeat: HeartbeatThread, watchdog: Watchdog) -> OnStep:
        began, latest = time.monotonic(), 0

        def on_step(step: int, loss: float) -> bool:
            nonlocal latest
            watchdog.moves()
            spent = time.monotonic() - began
            is_trained, latest = step == latest, step  # what follows the training says it again
            is_nearly_done = (
                self._grace() > 0.0 if is_trained else self._is_nearly_done(lease, step, spent)
            )
            if not is_nearly_done:
                self._drain.check()
            return heartbeat.beat(step, loss)

        return on_step

    def _is_nearly_done(self, lease: Assignment, step: int, spent: float) -> bool:
        """Whether the steps left take no longer than what is left of the grace.

        Loading counts as slow steps; those of a checkpoint took no time here.
        """
        if lease.steps and step >= lease.steps:
            return True
        taken = step - self._evaluator.resumed_at
        if not lease.steps or taken < 1:
            return False
        return spent / taken * (lease.steps - step) <= self._grace()

    def _grace(self) -> float:
        """Seconds that are left of the grace; 0 before leaving was asked for."""
        return self._drain.left_of(self._patience.grace_seconds) or 0.0

    def _failed(self, lease: Assignment, error: Exception) -> SpooledReport:
        if isinstance(error, RankspaceError):
            log.warning("trial_failed", problem=error.detail, fix=error.hint)
            text = text_of(error)
        else:
            log.exception("trial_crashed")
            kind = "out of memory" if memory.is_exhausted(error) else type(error).__name__
            text = f"{kind}: {error}"
            if memory.is_broken(error):
                # Every later trial would fail in no time, too: this one must be the last.
                self._broken = RankspaceError(
                    f"the GPU broke down: {error}",
                    hint="start the worker again; if that does not last, look after the GPU",
                )
        self._spool.discard(lease)
        return failed(lease, self._name, text, time.time())

    def _kept(self, lease: Assignment) -> tuple[str, ...]:
        directory = self._spool.adapter_directory(lease)
        return tuple(name for name in ADAPTER_FILES if (directory / name).exists())

    def _return_granted(self) -> None:
        # The signal may have cut off a claim that the service had already granted.
        try:
            lease = self._service.claim(0, self._evaluator.capabilities())
        except RankspaceError:
            return
        if lease is not None and not self._spool.holds(lease):
            self._give_back(lease)

    def _give_back(self, lease: Assignment, reason: str | None = None) -> None:
        self._spool.discard(lease)
        try:
            self._service.release(lease, reason)
        except RankspaceError as error:
            log.warning("release_failed", trial=lease.trial_id, problem=error.detail)
        else:
            log.info("trial_released", trial=lease.trial_id)


def _cause(error: Exception) -> BaseException | None:
    """What the error came from, unless that is an error that speaks for itself."""
    return None if isinstance(error.__cause__, RankspaceError | OSError) else error.__cause__
