"""Spool: reports wait on disk until the service has them, across restarts of the worker."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from rankspace.errors import (
    Forbidden,
    InvalidInput,
    LeaseLost,
    NotFound,
    RankspaceError,
    Unauthenticated,
    Unreachable,
    UnsupportedVersion,
    WrongWorker,
)
from rankspace.lease import Assignment
from rankspace.wire import pack, unpack
from worker.errors import NoAnswer
from worker.lease.report import SpooledReport, name_of
from worker.private_file import private_file
from worker.trial import checkpoint_files

KEPT_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 3600.0
_ADAPTER = ".adapter"
_ROOM = "make room there, or set RANKADAPTOR_SPOOL_DIRECTORY to a directory with room"
_MUST_ACT = (Unauthenticated, Forbidden, UnsupportedVersion)

log = structlog.get_logger(__name__)


class Deliverer(Protocol):
    """What a spool needs of the service."""

    def upload(self, report: SpooledReport, file: Path) -> None: ...
    def report(self, report: SpooledReport) -> str: ...


class Spool:
    """A directory with one JSON file per undelivered report, and its adapter files beside it.

    Checkpoints of trials lie there, too (``worker.trial.checkpoint_files``). They end with a report
    that the service took, and outlive a trial that is given back or was handed on.

    Every report is written here before it is sent, so neither a crash nor an absent service
    loses a finished trial. One that cannot be written (the disk is full) is kept in memory and sent
    all the same. Files are readable by their owner only. Workers of several services
    may share the directory: a report waits for the service that knows its study, and for a key
    that may speak for its worker.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            problem = f"cannot be made: {error.strerror}"
            raise InvalidInput("spool_directory", str(directory), problem, fix=_ROOM) from error
        self._clock = clock
        self._swept = clock()
        self._unkept: dict[str, SpooledReport] = {}
        """Reports that could not be written; they end with this process."""
        self._settled: set[str] = set()
        """Reports nobody is to be asked about again: they are not this service's or not this key's,
        or they are delivered and their file cannot be removed."""

    def sweep(self) -> None:
        """Remove adapters and checkpoints that a crash left behind, once they are a day old."""
        self._swept = self._clock()
        for path in checkpoint_files.outdated(self._directory, self._clock() - KEPT_SECONDS):
            log.info("checkpoint_swept", file=str(path))
        for directory in self._directory.glob(f"*{_ADAPTER}"):
            with suppress(FileNotFoundError):  # another worker on this directory was quicker
                age = self._clock() - directory.stat().st_mtime
                if age > KEPT_SECONDS and not self._path(directory.stem).exists():
                    log.info("adapter_swept", directory=str(directory))
                    shutil.rmtree(directory, ignore_errors=True)

    def sweep_in_time(self) -> None:
        """``sweep`` once an hour; a worker that stays for weeks has no other start."""
        if self._clock() - self._swept >= SWEEP_SECONDS:
            self.sweep()

    def adapter_directory(self, lease: Assignment) -> Path:
        """Where to save the adapter of ``lease`` before its report is put in."""
        return self._adapter(name_of(lease))

    @property
    def kept_adapters(self) -> Path:
        """Where weights lie that were fetched from the service."""
        return self._directory / "kept"

    def put(self, report: SpooledReport) -> None:
        """Write ``report`` so that it is there completely or not at all; else remember it."""
        try:
            with private_file(self._path(report.name)) as file:
                json.dump(pack(report), file)
        except OSError as error:
            if report.name not in self._unkept:
                problem = f"{self._directory} cannot be written: {error.strerror}"
                log.error("report_not_kept", trial=report.trial_id, problem=problem, fix=_ROOM)
            self._unkept[report.name] = report
        else:
            self._unkept.pop(report.name, None)

    @property
    def unkept(self) -> int:
        """How many reports that the service may yet take would be lost with this process."""
        return len(self._unkept.keys() - self._settled)

    def holds(self, lease: Assignment) -> bool:
        """Whether ``lease`` has been run already and only its report is missing."""
        return self._has(name_of(lease))

    def discard(self, lease: Assignment) -> None:
        """Forget an abandoned trial's files."""
        self._remove(name_of(lease))

    def deliver(self, client: Deliverer) -> int:
        """Send what waits, oldest first; return how many reports still wait.

        Raises:
            Unauthenticated, Forbidden, UnsupportedVersion: Nothing is lost; the operator must act.
        """
        waiting = self._waiting()
        for report in waiting:
            if not self.send(client, report):
                break
        return sum(self._has(report.name) for report in waiting)

    def send(self, client: Deliverer, report: SpooledReport) -> bool:
        """Send one report that was put in; return False when it is no use to send more now.

        Raises:
            Unauthenticated, Forbidden, UnsupportedVersion: As ``deliver`` does.
        """
        if report.name in self._settled:
            self._drop_old(report)
            return True
        try:
            self._deliver(client, report)
        except NotFound as error:
            log.info("report_of_another_service", study=report.study_id, problem=error.detail)
            self._pass_over(report)
        except WrongWorker as error:  # that worker comes back, or an admin deals with it
            log.info("report_of_another_worker", worker=report.worker, problem=error.detail)
            self._pass_over(report)
        except Unreachable as error:
            log.warning("report_waits", trial=report.trial_id, problem=error.detail)
            return not isinstance(error, NoAnswer)
        return True

    def _pass_over(self, report: SpooledReport) -> None:
        self._settled.add(report.name)
        self._drop_old(report)

    def _drop_old(self, report: SpooledReport) -> None:
        """Only once it was offered: the service decides what comes too late."""
        if self._clock() - report.finished > KEPT_SECONDS:
            self._drop(report, "for more than a day nobody has wanted it")

    def _deliver(self, client: Deliverer, report: SpooledReport) -> None:
        try:
            for name in report.files:
                client.upload(report, self._adapter(report.name) / name)
            status = client.report(report)
        except (*_MUST_ACT, NotFound, Unreachable):
            raise
        except LeaseLost as error:
            self._drop(report, error.detail)
        except (OSError, RankspaceError) as error:
            self._refused(client, report, str(error))
        else:
            log.info("report_delivered", trial=report.trial_id, status=status)
            checkpoint_files.forget(self._directory, report.study_id, report.trial_id)
            self._remove(report.name)

    def _refused(self, client: Deliverer, report: SpooledReport, problem: str) -> None:
        """Report a result that will never be accepted as failed: unreported, it would run again."""
        if report.outcome == "failed" or not self._has(report.name):
            self._drop(report, problem)
            return
        log.warning("report_refused", trial=report.trial_id, problem=problem)
        self._deliver(client, report.refused(problem))

    def _drop(self, report: SpooledReport, problem: str) -> None:
        log.warning("report_dropped", trial=report.trial_id, token=report.token, problem=problem)
        self._remove(report.name)  # its trial's checkpoint may by now be of who has the trial

    def _waiting(self) -> list[SpooledReport]:
        for report in tuple(self._unkept.values()):
            self.put(report)  # there may be room by now
        found = [self._read(path) for path in self._directory.glob("*.json")]
        waiting = [*self._unkept.values(), *(report for report in found if report is not None)]
        return sorted(waiting, key=lambda report: report.finished)

    def _read(self, path: Path) -> SpooledReport | None:
        try:
            return unpack(SpooledReport, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None  # another worker on this directory was quicker
        except (OSError, ValueError, InvalidInput, UnsupportedVersion) as error:
            log.warning("report_unreadable", file=str(path), problem=str(error))
            return None

    def _has(self, name: str) -> bool:
        return name in self._unkept or self._path(name).exists()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _adapter(self, name: str) -> Path:
        return self._directory / f"{name}{_ADAPTER}"

    def _remove(self, name: str) -> None:
        self._unkept.pop(name, None)
        shutil.rmtree(self._adapter(name), ignore_errors=True)
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:  # of a disk that turned read-only
            self._settled.add(name)
            log.error("report_not_removed", file=str(self._path(name)), problem=error.strerror)
