"""The life of a lease, as functions inside the caller's write transaction."""

from sqlalchemy.orm import Session

from rankspace.errors import InvalidInput, LeaseLost, UnsupportedVersion
from rankspace.trial import PROTOCOL, Action, TrialState
from rankspace.wire import encode
from service.artifacts.repository import Artifacts
from service.events import Events
from service.leases.repository import Leases
from service.leases.schemas import Beat, Claim, Heartbeat, Holding, Receipt, Report
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


def claim(session: Session, worker: str, lease_seconds: float) -> TrialRow | None:
    """Give ``worker`` a trial: the one it already holds, else the next that is queued."""
    leases = Leases(session)
    leases.touch(worker)
    held = leases.held_by(worker)
    if held is not None:
        leases.renew(held.id, held.token, lease_seconds)
        return held
    claimed = leases.claim(worker, lease_seconds)
    if claimed is not None:
        content = {"worker": worker, "token": claimed.token}
        Events(session).record("claimed", claimed.study_id, claimed.id, **content)
    return claimed


def heartbeat(session: Session, trial: int, beat: Heartbeat, lease_seconds: float) -> Beat:
    """Renew the lease.

    Raises:
        LeaseLost: The trial is someone else's, queued again or over.
    """
    leases = Leases(session)
    leases.touch(beat.worker)
    attempt = _attempt(leases, trial, beat.worker, beat.token)
    if beat.interim:
        attempt.interim = [*(attempt.interim or ()), *encode(beat.interim)]
    if leases.renew(trial, beat.token, lease_seconds):
        return Beat(lease_seconds, Action.CONTINUE)
    row = Trials(session).get(trial)
    if row and row.state == TrialState.CANCELLED and row.token == beat.token:
        return Beat(lease_seconds, Action.CANCEL)
    raise _lost(trial, beat.token)


def report(session: Session, trial: int, given: Report) -> Receipt:
    """Accept the trial's one result; idempotent by (trial, token).

    Raises:
        LeaseLost: A newer claim exists, or the trial ended without this report.
        InvalidInput: The trial keeps its adapter, and none was uploaded.
    """
    leases = Leases(session)
    leases.touch(given.worker)
    attempt = _attempt(leases, trial, given.worker, given.token)
    if attempt.outcome in ("done", "failed"):
        return Receipt("duplicate")
    state = TrialState(given.outcome)
    if state is TrialState.DONE:
        _check_upload(session, trial, given.token)
    if not leases.finish(trial, given.token, state, given.error):
        raise _lost(trial, given.token)
    leases.end_attempt(trial, given.token, given.outcome, given.error)
    _accept(session, trial, given)
    return Receipt("accepted")


def _check_upload(session: Session, trial: int, token: int) -> None:
    row = Trials(session).get(trial)
    if row is not None and row.keep_adapter and not Artifacts(session).holds(trial, token):
        raise InvalidInput(
            "outcome",
            "done",
            f"trial {trial} keeps its adapter, and nothing was uploaded under token {token}",
            fix=f"PUT its files to /v1/leases/{trial}/artifacts/NAME before the report",
        )


def _accept(session: Session, trial: int, given: Report) -> None:
    measured = given.measurement if given.outcome == "done" else None
    score = measured.score if measured else None
    row = Trials(session).get(trial)
    assert row is not None
    sequence = Trials(session).accept(row, given.token, score, encode(measured))
    content = {"token": given.token, "sequence": sequence, "score": score, "error": given.error}
    Events(session).record(given.outcome, row.study_id, trial, **content)


def release(session: Session, trial: int, holding: Holding) -> None:
    """Queue the trial again without counting an expiry; repeating it changes nothing.

    Raises:
        LeaseLost: The trial is not this claim's any more.
    """
    leases = Leases(session)
    attempt = _attempt(leases, trial, holding.worker, holding.token)
    if attempt.outcome == "released":
        return
    if not leases.requeue(trial, holding.token, expired=False):
        raise _lost(trial, holding.token)
    leases.end_attempt(trial, holding.token, "released")
    row = Trials(session).get(trial)
    assert row is not None
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
        LeaseLost: It is not this claim's any more.
    """
    _attempt(Leases(session), trial, holding.worker, holding.token)
    row = Trials(session).get(trial)
    open_states = (TrialState.RUNNING, TrialState.QUEUED)
    if row is None or row.token != holding.token or row.state not in open_states:
        raise _lost(trial, holding.token)
    return row


def _attempt(leases: Leases, trial: int, worker: str, token: int) -> AttemptRow:
    attempt = leases.attempt(trial, token, worker)
    if attempt is None:
        raise _lost(trial, token)
    return attempt


def _lost(trial: int, token: int) -> LeaseLost:
    return LeaseLost(
        f"trial {trial} is no longer held with token {token}",
        hint="drop the trial and ask for another",
    )
