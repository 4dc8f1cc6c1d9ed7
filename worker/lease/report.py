"""Report: how a trial ended, as it is delivered and as it waits on disk."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from rankspace.lease import Assignment
from rankspace.observation import Measurement

LONGEST_ERROR = 2000


@dataclass(frozen=True, slots=True)
class Report:
    """One finished trial.

    Attributes:
        study_id: Identity of the study; trial numbers begin at 1 in every service.
        trial_id: Identity of the trial.
        token: Fencing token of the lease it ran under.
        worker: Name the lease was given to; it may have been an earlier process's.
        outcome: Whether there is a measurement.
        measurement: The numbers, if ``done``.
        error: What went wrong, for a person, if ``failed``.
        finished: Seconds since the epoch by the worker's clock.
        files: Names of the adapter files that are uploaded before it.
    """

    study_id: str
    trial_id: int
    token: int
    worker: str
    outcome: Literal["done", "failed"]
    measurement: Measurement | None
    error: str | None
    finished: float
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self)


def name_of(lease: Assignment | Report) -> str:
    """Return a file name, one per lease: reporting is idempotent by trial and token."""
    return f"{quote(lease.study_id, safe='')}-{lease.trial_id}-{lease.token}"


def done(
    lease: Assignment, worker: str, measurement: Measurement, now: float, files: tuple[str, ...]
) -> Report:
    lease_of = (lease.study_id, lease.trial_id, lease.token)
    return Report(*lease_of, worker, "done", measurement, None, now, files)


def failed(lease: Assignment, worker: str, error: str, now: float) -> Report:
    text = error if len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 1]}…"
    lease_of = (lease.study_id, lease.trial_id, lease.token)
    return Report(*lease_of, worker, "failed", None, text, now)
