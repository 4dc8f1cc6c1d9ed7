"""Racing over leases: whether the answer to a heartbeat is ``stop``.

Finished curves never change, so each study's are kept in memory and only new ones are read. A
trial is judged once per look; a lost answer is given again. Nothing here is needed to be kept: a
restart reads the curves anew and judges the running trials' latest look once more.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from perfmodel.evidence import racing
from perfmodel.evidence.racing import Advice, Curve, Finished
from rankspace import Purpose
from rankspace.lease import Action
from service.storage.documents import space_of
from service.storage.events import Events
from service.storage.tables import AttemptRow, ObservationRow, TrialRow
from service.studies.repository import Studies

NEWEST = 128
"""Finished trials a running one is compared with, and the best one."""

CONTENDERS = 8
"""Best scores looked at for one that ran all its steps."""

REMEMBERED = 1024
"""Trials whose latest look is remembered, per study."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What never changes in a study."""

    seed: int
    steps: int
    risk: float
    spared: int


@dataclass(frozen=True, slots=True)
class _Look:
    """What was thought of a trial at a step; without ``advice`` nothing speaks against it."""

    step: int
    advice: Advice | None

    @property
    def is_stop(self) -> bool:
        return self.advice is not None and self.advice.action is Action.STOP


@dataclass(slots=True)
class _Race:
    """What is known of one study's finished trials; use it under its lock."""

    lock: Lock = field(default_factory=Lock)
    rules: _Rules | None = None
    watermark: int = 0
    best: Finished | None = None
    newest: deque[Finished] = field(default_factory=lambda: deque(maxlen=NEWEST))
    judged: dict[tuple[int, int], _Look] = field(default_factory=dict)


@lru_cache(maxsize=64)
def _race(study: str) -> _Race:
    return _Race()


def advise(session: Session, trial: TrialRow, interim: Sequence[Any]) -> Action:
    """Say whether ``trial`` goes on, in the caller's transaction; ``stop`` goes into the history.

    Only what the model proposed on the shared seed is ever stopped, and none of the first trials.
    To be called before the trial is locked: whoever writes a study's history locks it first.
    """
    look = _look(session, trial, interim) if trial.proposed and interim else None
    if look is None or not look.is_stop:
        return Action.CONTINUE
    _record(session, trial, look)
    return Action.STOP


def _look(session: Session, trial: TrialRow, interim: Sequence[Any]) -> _Look | None:
    """What is thought of ``trial`` by now; None before the first look."""
    race = _race(trial.study_id)
    with race.lock:
        rules = race.rules = race.rules or _rules(session, trial.study_id)
        if not rules.risk or trial.seed != rules.seed:
            return None
        last = int(max(step for step, _ in interim))
        at = racing.look_at(last, rules.steps)
        if at is None:
            return None
        return _judged(session, race, rules, trial, Curve.of(interim).between(0, at))


def _judged(session: Session, race: _Race, rules: _Rules, trial: TrialRow, curve: Curve) -> _Look:
    """Look the decision up, or make it: once per look, and a stopped trial stays stopped."""
    claim = (trial.id, trial.token)
    look = race.judged.pop(claim, _Look(0, None))
    if look.step < curve.last and not look.is_stop:
        look = _Look(curve.last, _decide(session, race, rules, trial, curve))
    race.judged[claim] = look
    while len(race.judged) > REMEMBERED:
        del race.judged[next(iter(race.judged))]
    return look


def _decide(
    session: Session, race: _Race, rules: _Rules, trial: TrialRow, curve: Curve
) -> Advice | None:
    if _is_spared(session, rules, trial):
        return None
    _catch_up(session, race, rules, trial.study_id)
    others = [one for one in race.newest if one is not race.best]
    risk = racing.risk_per_look(rules.risk, _trials(session, trial.study_id))
    return racing.advise(curve, [*filter(None, [race.best]), *others], risk=risk)


def _record(session: Session, trial: TrialRow, look: _Look) -> None:
    """Write the stop into the history, once: the same is said again when an answer got lost."""
    Studies(session).lock(trial.study_id)
    events = Events(session)
    if look.advice is None or events.holds("stopped", trial.study_id, trial.id, trial.token):
        return
    why = {"probability": look.advice.probability, "reason": look.advice.reason}
    events.record("stopped", trial.study_id, trial.id, token=trial.token, step=look.step, **why)


def _is_spared(session: Session, rules: _Rules, trial: TrialRow) -> bool:
    """Whether it is one of the study's first search trials."""
    mine = (TrialRow.study_id == trial.study_id) & (TrialRow.purpose == Purpose.SEARCH)
    first = select(TrialRow.id).where(mine).order_by(TrialRow.id).offset(rules.spared).limit(1)
    number = session.scalar(first)
    return number is None or trial.id < number


def _rules(session: Session, study: str) -> _Rules:
    studies = Studies(session)
    search, space = studies.study(study).search, studies.space(study)
    return _Rules(
        seed=search.seed,
        steps=search.trial.steps,
        risk=search.trial.stop_risk,
        spared=racing.spared(search.budget.trials, len(space_of(space).layers)),
    )


def _trials(session: Session, study: str) -> int:
    """Of the search in all, those of extensions included."""
    return Studies(session).study(study).search.budget.trials


def _catch_up(session: Session, race: _Race, rules: _Rules, study: str) -> None:
    """Read the trials that finished since the last time."""
    is_new = ObservationRow.sequence > race.watermark
    fresh = _finished(study, rules, is_new).order_by(ObservationRow.sequence.desc())
    rows = session.execute(fresh.limit(NEWEST)).all()
    if len(rows) == NEWEST:  # older ones were skipped, and one of them may be the best
        skipped = is_new & (ObservationRow.sequence < rows[-1].sequence)
        highest = _finished(study, rules, skipped).order_by(ObservationRow.score.desc())
        rows = [*rows, *session.execute(highest.limit(CONTENDERS))]
    for sequence, score, measured, interim in reversed(rows):
        race.watermark = max(race.watermark, sequence)
        if measured["steps"] >= rules.steps:
            one = Finished(Curve.of(interim), score)
            race.newest.append(one)
            race.best = max(filter(None, [race.best, one]), key=lambda known: known.score)


def _finished(study: str, rules: _Rules, *where: ColumnElement[bool]) -> Select[Any]:
    """Scored search trials on the shared seed: sequence, score, measurement, interim losses."""
    latest = (AttemptRow.trial_id == TrialRow.id) & (AttemptRow.token == ObservationRow.token)
    return (
        select(
            ObservationRow.sequence,
            ObservationRow.score,
            ObservationRow.measurement,
            AttemptRow.interim,
        )
        .join(TrialRow, TrialRow.id == ObservationRow.trial_id)
        .join(AttemptRow, latest)
        .where(
            ObservationRow.study_id == study,
            TrialRow.purpose == Purpose.SEARCH,
            TrialRow.seed == rules.seed,
            ObservationRow.score.is_not(None),
            AttemptRow.interim.is_not(None),
            *where,
        )
    )
