"""Quarantine: who gets no trials any more, as functions inside the caller's write transaction.

A worker that breaks every trial would otherwise take the whole queue, as the one that is always
free. But trials fail on good workers, too, and a service without workers is worse than one with a
bad one. The caller has locked the worker's row and then the study's.
"""

import structlog
from sqlalchemy.orm import Session

from rankspace.errors import Forbidden, Quarantined
from service.storage.events import Events
from service.storage.scope import Scope
from service.storage.tables import TrialRow
from service.workers.bars import LATELY_SECONDS, Bars
from service.workers.history import chance, records
from service.workers.repository import Workers

MOST = 3
"""Failures, or implausible reports, in a row, at least."""

UNLIKELY = 1e-3
"""How probable failures may be at most, on a worker no worse than the others."""

LONGEST = 500

log = structlog.get_logger(__name__)


def check(session: Session, worker: str) -> None:
    """Let through whoever is not in quarantine.

    Raises:
        Quarantined: ``worker`` is; says why and what to do.
    """
    reason = Workers(session).quarantine(worker)
    if reason is not None:
        raise Quarantined(
            f"worker {worker!r} is in quarantine: {reason}",
            hint=f"mend it, then an admin runs: rankadaptor workers reinstate {worker}",
        )


def note_success(session: Session, worker: str) -> None:
    """A good result ends every row of bad ones."""
    Workers(session).forgive(worker)


def note_failure(session: Session, worker: str, trial: TrialRow) -> None:
    """Count a failed trial against ``worker``, as far as others fared better in its study.

    So neither a study that nobody can run nor bad luck nor being alone leads to a quarantine.
    """
    Workers(session).strike(worker, trial.id)
    found = records(session, worker)
    strikes = sum(record.own for record in found)
    if strikes >= MOST and chance(found) < UNLIKELY:
        where = _place(trial.id, trial.study_id)
        reason = f"{strikes} trials in a row failed here, few elsewhere, the last was {where}"
        _shut_out(session, worker, reason, trial.study_id)


def note_refusal(session: Session, worker: str, trial: int, study: str, field: str) -> None:
    """Count a report on ``trial`` that made no sense because of ``field``."""
    refusals = Workers(session).refuse(worker)
    if refusals >= MOST:
        where = _place(trial, study)
        reason = f"{refusals} reports in a row made no sense, the last in {field} of {where}"
        _shut_out(session, worker, reason, study)


def _place(trial: int, study: str) -> str:
    """Where to read more: whoever sees the worker need not be of the study's project."""
    return f"trial {trial} of study {study}"


def _shut_out(session: Session, worker: str, reason: str, study: str) -> None:
    workers, short = Workers(session), reason[:LONGEST]
    if workers.quarantine(worker) is not None:
        return
    if not _leaves_enough(workers):
        log.warning("not quarantined: too few would be left", worker=worker, reason=short)
    else:
        workers.shut_out(worker, short)
        Events(session).record("quarantined", study, worker=worker, reason=short)
        log.warning("quarantined", worker=worker, study=study, reason=short)


def _leaves_enough(workers: Workers) -> bool:
    """Whether half of the workers that are there are left without one more."""
    left = workers.active(LATELY_SECONDS) - 1
    return left >= workers.quarantined(LATELY_SECONDS) + 1


def shut_out(session: Session, worker: str, reason: str, scope: Scope) -> None:
    """Give ``worker`` no more trials; one that it holds it may finish. Repeating it is harmless.

    Raises:
        NotFound: There is no such worker in ``scope``.
        Forbidden: It works for others, too.
    """
    _check_own(session, worker, scope)
    Workers(session).shut_out(worker, reason)


def reinstate(session: Session, worker: str, scope: Scope) -> None:
    """Give ``worker`` trials again, of all studies, and forget what was held against it.

    Raises:
        NotFound, Forbidden: As ``shut_out`` does.
    """
    _check_own(session, worker, scope)
    Workers(session).reinstate(worker)
    Bars(session).lift_of(worker)


def _check_own(session: Session, worker: str, scope: Scope) -> None:
    if not scope.admits(Workers(session).get(worker, scope).project):
        hint = "ask an admin of all projects"
        raise Forbidden(f"worker {worker!r} works for other projects, too", hint=hint)
