"""The life of a lease, as functions inside the caller's write transaction."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from rankspace.errors import InvalidInput, LeaseLost, NotFound, UnsupportedVersion
from rankspace.trial import FINISHED, PROTOCOL, Action, TrialState
from rankspace.wire import encode
from service.artifacts.repository import Artifacts
from service.artifacts.store import NOTE, WEIGHTS
from service.events import Events
from service.leases.racing import advise
from service.leases.repository import Leases
from service.leases.schemas import Beat, Claim, Heartbeat, Holding, Receipt, Report
from service.scope import ALL
from service.tables import AttemptRow, TrialRow
from service.trials.repository import Trials

MAX_EXPIRIES = 3


def check_protocol(claim: Claim) -> None:
    """Refuse a worker that speaks another protocol version."""
    if claim.protocol != PROTOCOL:
        raise UnsupportedVersion(
            f"worker {claim.worker!r} speaks protocol {claim.protocol}, the service {PROTOCOL}",
            hint="install the same version of rankadaptor on both sides",
        )


def claim(
    session: Session, worker: str, lease_seconds: float, project: str = ALL
) -> TrialRow | None:
    """Give ``worker`` a trial of ``project``: the one it holds already, else the next queued."""
    leases = Leases(session)
    leases.touch(worker)
    held = leases.held_by(worker, project)
    if held is not None:
        leases.renew(held.id, held.token, lease_seconds)
        return held
    claimed = leases.claim(worker, lease_seconds, project)
    if claimed is not None:
        content = {"worker": worker, "token": claimed.token}
        Events(session).record("claimed", claimed.study_id, claimed.id, **content)
    return claimed


def heartbeat(session: Session, trial: int, beat: Heartbeat, lease_seconds: float) -> Beat:
    """Renew the lease.

    Raises:
        NotFound: The trial is not one of this service's study.
        LeaseLost: The trial is someone else's, queued again or over.
    """
    leases = Leases(session)
    leases.touch(beat.worker)
    row, attempt = _held(session, trial, beat)
    if beat.interim:
        attempt.interim = _merged(attempt.interim or (), encode(beat.interim))
    if leases.renew(trial, beat.token, lease_seconds):
        return Beat(lease_seconds, advise(session, row, attempt))
    if row.state == TrialState.CANCELLED and row.token == beat.token:
        return Beat(lease_seconds, Action.CANCEL)
    raise _lost(trial, beat.token)


def _merged(known: Iterable[Any], given: Iterable[Any]) -> list[Any]:
    """One pair per step: a worker sends again what it does not know to have arrived."""
    return list({pair[0]: pair for pair in (*known, *given)}.values())


def report(session: Session, trial: int, given: Report) -> Receipt:
    """Accept the trial's one result; idempotent by (trial, token).

    Raises:
        NotFound: The trial is not one of this service's study.
        LeaseLost: A newer claim exists, or the trial ended without this report.
        InvalidInput: The trial keeps its adapter, and none was uploaded.
    """
    leases = Leases(session)
    leases.touch(given.worker)
    row, attempt = _held(session, trial, given)
    if attempt.outcome in ("done", "failed"):
        return Receipt("duplicate")
    state = TrialState(given.outcome)
    if not leases.finish(trial, given.token, state, given.error):
        raise _lost(trial, given.token)
    if state is TrialState.DONE:
        _check_upload(session, row, given.token)
    leases.end_attempt(trial, given.token, given.outcome, given.error)
    _accept(session, row, given)
    return Receipt("accepted")


def _check_upload(session: Session, row: TrialRow, token: int) -> None:
    """A vector without any adapter leaves only a note; every other one its weights."""
    name = WEIGHTS if any(row.rank_vector.ranks) else NOTE
    if row.keep_adapter and not Artifacts(session).holds(row.id, token, name):
        raise InvalidInput(
            "outcome",
            "done",
            f"trial {row.id} keeps its adapter, and no {name} was uploaded under token {token}",
            fix=f"PUT its files to /v1/leases/{row.id}/artifacts/NAME before the report",
        )


def _accept(session: Session, row: TrialRow, given: Report) -> None:
    measured = given.measurement if given.outcome == "done" else None
    score = measured.score if measured else None
    sequence = Trials(session).accept(row, given.token, score, encode(measured))
    content = {"token": given.token, "sequence": sequence, "score": score, "error": given.error}
    content["steps"] = measured.steps if measured else None
    Events(session).record(given.outcome, row.study_id, row.id, **content)


def release(session: Session, trial: int, holding: Holding) -> None:
    """Queue the trial again without counting an expiry; repeating it changes nothing.

    Raises:
        NotFound: The trial is not one of this service's study.
        LeaseLost: The trial is not this claim's any more.
    """
    leases = Leases(session)
    row, attempt = _held(session, trial, holding)
    if attempt.outcome == "released":
        return
    if not leases.requeue(trial, holding.token, expired=False):
        raise _lost(trial, holding.token)
    leases.end_attempt(trial, holding.token, "released")
    Events(session).record("released", row.study_id, trial, token=holding.token)


def expire(session: Session) -> set[str]:
    """Take every overdue trial from its holder; return the studies concerned."""
    leases = Leases(session)
    late = [row for row in leases.expired() if _expire(session, leases, row)]
    return {row.study_id for row in late}


def _expire(session: Session, leases: Leases, row: TrialRow) -> bool:
    """Queue ``row`` again, or give it up as dead after the third time."""
    dies = row.expiries + 1 >= MAX_EXPIRIES
    reason = f"lost its worker {MAX_EXPIRIES} times" if dies else None
    moved = (
        leases.finish(row.id, row.token, TrialState.DEAD, reason, expired=True)
        if dies
        else leases.requeue(row.id, row.token, expired=True)
    )
    if moved:
        leases.end_attempt(row.id, row.token, "expired")
        Events(session).record("expired", row.study_id, row.id, token=row.token)
    if moved and dies:
        sequence = Trials(session).accept(row, row.token, None)
        content = {"token": row.token, "sequence": sequence, "error": reason}
        Events(session).record("dead", row.study_id, row.id, **content)
    return moved


def check_holder(session: Session, trial: int, holding: Holding) -> TrialRow:
    """Return the trial that ``holding`` may still write to.

    Raises:
        NotFound: The trial is not one of this service's study.
        LeaseLost: It is not this claim's any more.
    """
    row, _ = _held(session, trial, holding)
    if row.token != holding.token or row.state in FINISHED:
        raise _lost(trial, holding.token)
    return row


def _held(session: Session, trial: int, holding: Holding) -> tuple[TrialRow, AttemptRow]:
    """Return the trial and the claim that ``holding`` speaks of, current or not."""
    row = Trials(session).get(trial)
    if row is None or row.study_id != holding.study_id:
        raise NotFound(
            f"trial {trial} of study {holding.study_id!r} is not known here",
            hint="keep the result for the service that handed the trial out",
        )
    attempt = Leases(session).attempt(trial, holding.token, holding.worker)
    if attempt is None:
        raise _lost(trial, holding.token)
    return row, attempt


def _lost(trial: int, token: int) -> LeaseLost:
    return LeaseLost(
        f"trial {trial} is no longer held with token {token}",
        hint="drop the trial and ask for another",
    )
