"""Spool: reports wait on disk until the service has them, across restarts of the worker."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

KEPT_SECONDS = 24 * 3600.0
_ADAPTER = ".adapter"
_MUST_ACT = (Unauthenticated, Forbidden, UnsupportedVersion)

log = structlog.get_logger(__name__)


class Deliverer(Protocol):
    """What a spool needs of the service."""

    def upload(self, report: SpooledReport, file: Path) -> None: ...
    def report(self, report: SpooledReport) -> str: ...


class Spool:
    """A directory with one JSON file per undelivered report, and its adapter files beside it.

    Every report is written here before it is sent, so neither a crash nor an absent service
    loses a finished trial. Files are readable by their owner only. Workers of several services
    may share the directory: a report waits for the service that knows its study, and for a key
    that may speak for its worker.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        with self._writing():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock
        self._unknown: set[str] = set()
        """Reports the service said are not its own, or not this key's; it is not asked again."""

    def sweep(self) -> None:
        """Remove adapters that a crash left without a report, once they are a day old."""
        for directory in self._directory.glob(f"*{_ADAPTER}"):
            with suppress(FileNotFoundError):  # another worker on this directory was quicker
                age = self._clock() - directory.stat().st_mtime
                if age > KEPT_SECONDS and not self._path(directory.stem).exists():
                    log.info("adapter_swept", directory=str(directory))
                    shutil.rmtree(directory, ignore_errors=True)

    def adapter_directory(self, lease: Assignment) -> Path:
        """Where to save the adapter of ``lease`` before its report is put in."""
        return self._adapter(name_of(lease))

    def put(self, report: SpooledReport) -> None:
        """Write ``report`` so that it is there completely or not at all."""
        with self._writing(), private_file(self._path(report.name)) as file:
            json.dump(pack(report), file)

    def holds(self, lease: Assignment) -> bool:
        """Whether ``lease`` has been run already and only its report is missing."""
        return self._path(name_of(lease)).exists()

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
        return sum(self._path(report.name).exists() for report in waiting)

    def send(self, client: Deliverer, report: SpooledReport) -> bool:
        """Send one report that was put in; return False when it is no use to send more now.

        Raises:
            Unauthenticated, Forbidden, UnsupportedVersion: As ``deliver`` does.
        """
        try:
            self._settle(client, report)
        except NotFound as error:
            log.info("report_of_another_service", study=report.study_id, problem=error.detail)
            self._unknown.add(report.name)
        except WrongWorker as error:  # that worker comes back, or an admin deals with it
            log.info("report_of_another_worker", worker=report.worker, problem=error.detail)
            self._unknown.add(report.name)
        except Unreachable as error:
            log.warning("report_waits", trial=report.trial_id, problem=error.detail)
            return not isinstance(error, NoAnswer)
        return True

    def _settle(self, client: Deliverer, report: SpooledReport) -> None:
        if self._clock() - report.finished > KEPT_SECONDS:
            self._drop(report, "it has waited for more than a day")
        elif report.name not in self._unknown:
            self._deliver(client, report)

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
            self._remove(report.name)

    def _refused(self, client: Deliverer, report: SpooledReport, problem: str) -> None:
        """Report a result that will never be accepted as failed: unreported, it would run again."""
        if report.outcome == "failed" or not self._path(report.name).exists():
            self._drop(report, problem)
            return
        log.warning("report_refused", trial=report.trial_id, problem=problem)
        self._deliver(client, report.refused(problem))

    def _drop(self, report: SpooledReport, problem: str) -> None:
        log.warning("report_dropped", trial=report.trial_id, token=report.token, problem=problem)
        self._remove(report.name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidInput(
                "spool_directory",
                str(self._directory),
                f"cannot be written: {error.strerror}",
                fix="set RANKADAPTOR_SPOOL_DIRECTORY to a directory with room",
            ) from error

    def _waiting(self) -> list[SpooledReport]:
        found = [self._read(path) for path in self._directory.glob("*.json")]
        return sorted((r for r in found if r is not None), key=lambda report: report.finished)

    def _read(self, path: Path) -> SpooledReport | None:
        try:
            return unpack(SpooledReport, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None  # another worker on this directory was quicker
        except (OSError, ValueError, InvalidInput, UnsupportedVersion) as error:
            log.warning("report_unreadable", file=str(path), problem=str(error))
            return None

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _adapter(self, name: str) -> Path:
        return self._directory / f"{name}{_ADAPTER}"

    def _remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)
        shutil.rmtree(self._adapter(name), ignore_errors=True)
