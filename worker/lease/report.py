"""SpooledReport: how a trial ended, as it waits on disk."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote

from rankspace.errors import RankspaceError, cut
from rankspace.lease import MAX_ERROR, Assignment, Report
from rankspace.observation import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledReport(Report):
    """A report and what it takes to deliver it; ``worker`` may have been an earlier process.

    Attributes:
        trial_id: Identity of the trial.
        finished: Seconds since the epoch by the worker's clock.
        files: Names of the adapter files that are uploaded before it.
    """

    trial_id: int
    finished: float
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self)

    def refused(self, problem: str) -> Self:
        """Return what is reported when the service will never take this one."""
        text = _cut(f"the result could not be delivered: {problem}")
        return replace(self, outcome="failed", measurement=None, error=text, files=())


def name_of(lease: Assignment | SpooledReport) -> str:
    """Return a file name, one per lease: reporting is idempotent by trial and token."""
    return f"{quote(lease.study_id, safe='')}-{lease.trial_id}-{lease.token}"


def done(
    lease: Assignment, worker: str, measurement: Measurement, now: float, files: tuple[str, ...]
) -> SpooledReport:
    held = worker, lease.token, lease.study_id
    return SpooledReport(
        *held, "done", measurement, trial_id=lease.trial_id, finished=now, files=files
    )


def failed(lease: Assignment, worker: str, error: str, now: float) -> SpooledReport:
    held = worker, lease.token, lease.study_id
    return SpooledReport(
        *held,
        "failed",
        error=_cut(error),
        trial_id=lease.trial_id,
        finished=now,
    )


def text_of(error: RankspaceError) -> str:
    """What the service is told of ``error``: the problem and the fix."""
    return _cut(f"{error.detail}; {error.hint}" if error.hint else error.detail)


def _cut(error: str) -> str:
    return cut(error or "no reason given", MAX_ERROR)
