"""The life of a lease, as functions inside the caller's write transaction."""

import math
from dataclasses import replace

from sqlalchemy.orm import Session

from rankspace.data_shape import OLD_FORMATS
from rankspace.errors import InvalidInput, LeaseLost, NotFound, UnsupportedVersion
from rankspace.lease import (
    FORMATS_SINCE,
    FURTHER_SINCE,
    INPUTS_SINCE,
    LEAST_PROTOCOL,
    METRICS_SINCE,
    NOTE,
    PROTOCOL,
    SURVEYS_SINCE,
    WEIGHTS,
    Action,
    Claim,
    Heartbeat,
    HeartbeatAnswer,
    Holding,
    Receipt,
    Release,
    Report,
)
from rankspace.study import ACTIVE, Study
from rankspace.trial import FINISHED, Purpose, Split, TrialState
from rankspace.wire import encode
from service.access.caller import WorkerIdentity
from service.artifacts.repository import Artifacts
from service.leases.base_dtype import settle, unsettle
from service.leases.inputs import agree
from service.leases.interim import merged
from service.leases.plausibility import (
    METRIC_VALUE,
    SCORE,
    SECONDS,
    Bounds,
    ImplausibleMeasurement,
)
from service.leases.racing import advise
from service.leases.repository import Leases
from service.storage.documents import space_of
from service.storage.events import Events
from service.storage.tables import AttemptRow, TrialRow
from service.studies.inputs import are_asked_for
from service.studies.repository import Studies
from service.studies.workflow import pause
from service.trials.repository import Trials
from service.trials.surveys import order_of
from service.workers import quarantine
from service.workers.bars import Bars
from service.workers.repository import Workers

MAX_EXPIRIES = 3

_FIELDS_OF_STUDIES = ("measurement.parameters", "measurement.loss", "measurement.train_loss", SCORE)
"""Beginnings of what nobody's result of the study may be able to get right."""


def check_protocol(claim: Claim) -> None:
    """Refuse a worker that speaks a protocol this service does not.

    Raises:
        UnsupportedVersion: It is newer, or more than one version older.
    """
    if not LEAST_PROTOCOL <= claim.protocol <= PROTOCOL:
        raise UnsupportedVersion(
            f"worker {claim.worker!r} speaks protocol {claim.protocol}, the service "
            f"{LEAST_PROTOCOL} to {PROTOCOL}",
            hint="upgrade the worker, or the service first if the worker is newer",
        )


def claim(
    session: Session, given: Claim, lease_seconds: float, identity: WorkerIdentity
) -> TrialRow | None:
    """Give the worker a trial of its project: the one it holds, else the next it is able to run.

    Raises:
        WrongWorker: The name is not for this ``identity``.
        Quarantined: It holds none and is to get none.
    """
    worker, project = given.worker, identity.project
    Workers(session).touch(worker, identity)
    Workers(session).note(worker, given.protocol, given.capabilities)
    leases = Leases(session)
    held = leases.held_by(worker, project)
    if held is not None and not _is_understood(session, held, given):
        Studies(session).lock(held.study_id)
        _expire(session, leases, held, is_dead=True)
        held = leases.held_by(worker, project)
    if held is not None:
        leases.renew(held.id, held.token, lease_seconds)
        return held
    quarantine.check(session, worker)
    spoken = given.protocol
    study = leases.lock_next_study(worker, given.capabilities, project, protocol=spoken)
    if study is None or _is_barred_as_too_old(session, study, given):
        return None
    claimed = leases.claim(study, worker, lease_seconds, given.process, protocol=spoken)
    if claimed is not None:
        content = {"worker": worker, "token": claimed.token}
        dtype = settle(session, claimed.study_id, given.capabilities)
        content |= {"base_dtype": dtype} if dtype else {}
        Events(session).record("claimed", claimed.study_id, claimed.id, **content)
    return claimed


def _is_understood(session: Session, held: TrialRow, given: Claim) -> bool:
    """Whether the program that claims now can read what one of the same name held before."""
    since = SURVEYS_SINCE if held.keep_adapter else FURTHER_SINCE
    if held.purpose == Purpose.SURVEY and given.protocol < since:
        return False
    if given.protocol >= METRICS_SINCE:
        return True
    study = Studies(session).study(held.study_id)
    return _knows_format(study, given.protocol) and _can_measure(study, given.protocol)


def _knows_format(study: Study, protocol: int) -> bool:
    return protocol >= FORMATS_SINCE or study.recipe.data.format in OLD_FORMATS


def _can_measure(study: Study, protocol: int) -> bool:
    return protocol >= METRICS_SINCE or not study.recover.metrics


def _is_barred_as_too_old(session: Session, name: str, given: Claim) -> bool:
    """Keep a worker from a study that it cannot read, or whose data it would not name.

    The next look for work finds the studies after this one.
    """
    if given.protocol >= METRICS_SINCE:
        return False
    lacks = _lacking(Studies(session).study(name), given.protocol)
    if lacks is None:
        return False
    spoken = f"speaks lease protocol {given.protocol}, {lacks}; upgrade the worker"
    _bar(session, name, given.worker, spoken)
    return True


def _lacking(study: Study, protocol: int) -> str | None:
    """Say what a protocol of before lacks for ``study``; None where nothing."""
    if protocol < INPUTS_SINCE and are_asked_for(study.inputs):
        return "in which results do not say what they were measured on"
    if not _knows_format(study, protocol):
        return f"which knows no recipe.data.format: {study.recipe.data.format}"
    return None if _can_measure(study, protocol) else "which knows no recover.metrics"


def expire_orphan(
    session: Session, worker: str, process: str, identity: WorkerIdentity
) -> TrialRow | None:
    """Take from ``worker`` the trial that died with an earlier process; return it.

    Whoever supervises a worker starts it anew within the lease: a trial that kills its process
    would go to the same name again, for ever. So this is an expiry like any other.

    Raises:
        WrongWorker: The name is not for this ``identity``.
    """
    Workers(session).touch(worker, identity)
    leases = Leases(session)
    left = leases.left_behind(worker, process, identity.project)
    if left is None:
        return None
    Studies(session).lock(left.study_id)
    return left if _expire(session, leases, left, is_dead=True) else None


def heartbeat(
    session: Session,
    trial: int,
    given: Heartbeat,
    lease_seconds: float,
    identity: WorkerIdentity,
) -> tuple[HeartbeatAnswer, int]:
    """Renew the lease; also say how many of the interim losses were left out: they cannot be.

    Raises:
        WrongWorker: The name is not for this ``identity``.
        NotFound: The trial is not one of this service's study.
        LeaseLost: The trial is someone else's, queued again or over.
    """
    Workers(session).touch(given.worker, identity)
    leases = Leases(session)
    row, attempt = _held(session, trial, given)
    interim = merged(attempt.interim or (), given.interim, row.steps)
    is_current = row.token == given.token
    is_running = is_current and row.state == TrialState.RUNNING
    action = advise(session, row, interim.pairs) if is_running else Action.CONTINUE
    if not leases.renew(trial, given.token, lease_seconds):
        if not (is_current and row.state == TrialState.CANCELLED):
            raise _lost(trial, given.token)
        action = Action.CANCEL
    if given.interim and not leases.keep(trial, given.token, encode(interim.pairs)):
        raise _not_ours(trial, given)  # the study was deleted a moment ago
    return HeartbeatAnswer(lease_seconds, action), interim.implausible


def report(session: Session, trial: int, given: Report, identity: WorkerIdentity) -> Receipt:
    """Accept the trial's one result; idempotent by (trial, token).

    Raises:
        WrongWorker: The name is not for this ``identity``.
        NotFound: The trial is not one of this service's study.
        LeaseLost: A newer claim exists, or the trial ended without this report.
        ImplausibleMeasurement: The measurement cannot be this trial's.
        OtherInputs: It was measured on other data, or with another tokenizer.
        InvalidInput: The trial keeps its adapter, and none was uploaded.
    """
    Workers(session).touch(given.worker, identity)
    leases = Leases(session)
    _lock(session, trial, given)
    row, attempt = _held(session, trial, given)
    if attempt.outcome in ("done", "failed"):
        return Receipt("duplicate")
    state = TrialState(given.outcome)
    if not leases.finish(trial, given.token, state, given.error):
        raise _lost(trial, given.token)
    if state is TrialState.DONE and given.measurement is not None:
        _bounds(session, row, attempt).check(given.measurement)
        _check_upload(session, row, given.token)
        agree(session, row.study_id, given.measurement)
    leases.end_attempt(trial, given.token, given.outcome, given.error)
    _accept(session, row, given)
    _judge(session, row, given)
    return Receipt("accepted")


def _bounds(session: Session, row: TrialRow, attempt: AttemptRow) -> Bounds:
    studies = Studies(session)
    space = space_of(studies.space(row.study_id))
    age = Leases(session).age(attempt)
    held = age if age >= 0.0 else math.inf  # the clock was set on and back: nobody knows
    order = order_of(row) if row.purpose == Purpose.SURVEY else None
    scored = len(order.vectors) if order else 0
    is_recovery = row.purpose == Purpose.RECOVER
    metrics = studies.study(row.study_id).recover.metrics if is_recovery else ()
    return Bounds(space.parameters(row.rank_vector), row.steps, held, scored, metrics)


def _judge(session: Session, row: TrialRow, given: Report) -> None:
    if given.outcome == "done":
        quarantine.note_success(session, given.worker)
        Bars(session).forget(row.study_id, given.worker)
    else:
        quarantine.note_failure(session, given.worker, row)


def distrust(session: Session, trial: int, given: Report, error: ImplausibleMeasurement) -> None:
    """Hold an implausible report against its worker, once, unless somebody else may be at fault.

    Raises:
        NotFound, LeaseLost: As ``report`` does.
    """
    Workers(session).lock(given.worker)
    _lock(session, trial, given)
    _, attempt = _held(session, trial, given)
    is_worker_s = _is_shown_right(session, given, attempt, error.field)
    if is_worker_s and Leases(session).blame(trial, given.token, error.detail):
        quarantine.note_refusal(session, given.worker, trial, given.study_id, error.field)


def _is_shown_right(session: Session, given: Report, attempt: AttemptRow, field: str) -> bool:
    """Whether another worker's result has shown that what ``field`` was held against is right.

    What a vector costs follows from a description that a person gave, how long a claim is ago from
    the database's clock, which may go wrong at any time, that a trial diverges from the recipe, and
    what a model scores elsewhere from the model: none must put everybody in quarantine. Of metrics
    only another recovery shows anything.
    """
    since, purpose = 0.0, None
    if field.startswith(SECONDS):
        since = attempt.started_at
    elif METRIC_VALUE.match(field):
        purpose = Purpose.RECOVER
    elif not field.startswith(_FIELDS_OF_STUDIES):
        return True
    return Trials(session).has_result_of_other(given.study_id, given.worker, since, purpose)


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
    if measured and measured.data:
        Studies(session).keep_counts(row.study_id, encode(measured.data))
    told = measured.texts if measured and measured.texts and row.split == Split.FINAL else None
    if measured:
        measured = replace(measured, data=None, texts=None)
    result = encode(measured), encode(told)
    sequence = Trials(session).accept(row, given.token, score, *result)
    content = {"token": given.token, "sequence": sequence, "score": score, "error": given.error}
    content["steps"] = measured.steps if measured else None
    said = {"scores": measured.scores} if measured and measured.scores else {}
    Events(session).record(given.outcome, row.study_id, row.id, **content, **said)


def release(session: Session, trial: int, given: Release, identity: WorkerIdentity) -> None:
    """Queue the trial again without counting an expiry; repeating it changes nothing.

    With a reason the worker is barred from the study for a while; when that leaves nobody who can
    run it, the study pauses.

    Raises:
        WrongWorker: The name is not for this ``identity``.
        NotFound: The trial is not one of this service's study.
        LeaseLost: The trial is not this claim's any more.
    """
    # May it use the name? No sign of life is noted: it may be leaving.
    Workers(session).quarantine_reason(given.worker, identity)
    leases = Leases(session)
    _lock(session, trial, given)
    row, attempt = _held(session, trial, given)
    if attempt.outcome == "released":
        return
    if not leases.requeue(trial, given.token):
        raise _lost(trial, given.token)
    leases.end_attempt(trial, given.token, "released", given.reason)
    unsettle(session, row.study_id)
    Artifacts(session).withdraw(trial, given.token)
    content = {"token": given.token, **({"reason": given.reason} if given.reason else {})}
    Events(session).record("released", row.study_id, trial, **content)
    if given.reason:
        _bar(session, row.study_id, given.worker, given.reason)


def _bar(session: Session, study: str, worker: str, reason: str) -> None:
    bars, head = Bars(session), Studies(session).get(study)
    bars.note(study, worker, reason)
    if head.state in ACTIVE and bars.leave_nobody(study, head.project):
        pause(session, study, f"no worker can run its trials; {worker}: {reason}")


def expire(session: Session, study: str, *, waits: bool = False) -> list[TrialRow] | None:
    """Take the study's overdue trials from their holders; return them.

    None if somebody else is writing to the study, unless it ``waits``: another replica may be
    doing just this.

    Raises:
        NotFound: There is no such study any more; only if it ``waits``.
    """
    studies = Studies(session)
    if waits:
        studies.lock(study)
    elif not studies.try_lock(study):
        return None
    leases = Leases(session)
    return [row for row in leases.late(study) if _expire(session, leases, row)]


def _expire(session: Session, leases: Leases, row: TrialRow, *, is_dead: bool = False) -> bool:
    """Queue ``row`` again, or give it up as dead after the third time."""
    death = f"lost its worker {MAX_EXPIRIES} times" if row.expiries + 1 >= MAX_EXPIRIES else None
    if not leases.expire(row.id, row.token, death, is_dead=is_dead):
        return False
    leases.end_attempt(row.id, row.token, "expired")
    why = {"cause": "restarted"} if is_dead else {}
    Events(session).record("expired", row.study_id, row.id, token=row.token, **why)
    if death:
        sequence = Trials(session).accept(row, row.token, None)
        content = {"token": row.token, "sequence": sequence, "error": death}
        Events(session).record("dead", row.study_id, row.id, **content)
    return True


def check_holder(
    session: Session, trial: int, holding: Holding, identity: WorkerIdentity
) -> TrialRow:
    """Return the trial that ``holding`` may still write to.

    Raises:
        WrongWorker: The name is not for this ``identity``.
        NotFound: The trial is not one of this service's study.
        LeaseLost: It is not this claim's any more.
    """
    Workers(session).quarantine_reason(holding.worker, identity)
    row, attempt = _held(session, trial, holding)
    if row.token != holding.token or row.state in FINISHED or attempt.outcome == "released":
        raise _lost(trial, holding.token)
    return row


def _held(session: Session, trial: int, holding: Holding) -> tuple[TrialRow, AttemptRow]:
    """Return the trial and the claim that ``holding`` speaks of, current or not."""
    row = Trials(session).get(trial)
    if row is None or row.study_id != holding.study_id:
        raise _not_ours(trial, holding)
    attempt = Leases(session).attempt(trial, holding.token, holding.worker)
    if attempt is None:
        raise _lost(trial, holding.token)
    return row, attempt


def _lock(session: Session, trial: int, holding: Holding) -> None:
    try:
        Studies(session).lock(holding.study_id)
    except NotFound:
        raise _not_ours(trial, holding) from None


def _not_ours(trial: int, holding: Holding) -> NotFound:
    return NotFound(
        f"trial {trial} of study {holding.study_id!r} is not known here",
        hint="keep the result for the service that handed the trial out",
    )


def _lost(trial: int, token: int) -> LeaseLost:
    return LeaseLost(
        f"trial {trial} is no longer held with token {token}",
        hint="drop the trial and ask for another",
    )
