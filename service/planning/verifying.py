"""The verification stage: fresh seeds for the candidates and their rivals, until the verdict."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from perfmodel.evidence.scores import Run, Scored
from perfmodel.evidence.verification import NO_CONTROLS, next_step
from rankspace import Purpose, Verdict
from rankspace.errors import TrialFailed
from rankspace.study import StudyState
from rankspace.trial import Split
from service.planning.plan import Plan, Turn
from service.planning.snapshot import OpenTrial, Snapshot
from service.trials.planned import PlannedTrial
from service.trials.results import Result

MOST = 200
"""Trials of verification that are open at a time: queueing is one write, and others wait for it."""


def plan_verification(snapshot: Snapshot) -> Plan:
    try:
        step = _next_step(snapshot)
    except TrialFailed as error:
        return Plan(turn=Turn(StudyState.FAILED, error=error.detail))
    if isinstance(step, Verdict):
        told = None if has_earlier(snapshot) else step
        return Plan(turn=Turn(StudyState.RECOVERING, verdict=told))
    return Plan(queued=_missing(snapshot, step))


def has_earlier(snapshot: Snapshot) -> bool:
    """Whether an answer of before stands until the whole recipe is judged anew.

    What that says decides what is exported, and the answer of the trials alone cannot replace it.
    """
    verdict, at = snapshot.head.verdict, snapshot.study.verify.at
    return at == "recipe" and verdict is not None and verdict.extensions < snapshot.head.extensions


def trials_verdict(snapshot: Snapshot) -> Verdict:
    """The answer of the trials: as the turn to the recovery brought it, or derived once more."""
    told = snapshot.head.verdict
    found = _next_step(snapshot) if told is None or has_earlier(snapshot) else told
    assert isinstance(found, Verdict)  # the verification is over
    return found


def _next_step(snapshot: Snapshot) -> Verdict | Sequence[Run]:
    arms = snapshot.head.arms
    assert arms is not None  # the turn to this stage chose them
    step = next_step(
        arms,
        _scored(snapshot),
        snapshot.study.verify,
        snapshot.seeds,
        space=snapshot.space,
        trials=snapshot.results.searched,
        controls=snapshot.head.controls or NO_CONTROLS,
    )
    return _with_history(snapshot, step) if isinstance(step, Verdict) else step


def _with_history(snapshot: Snapshot, verdict: Verdict) -> Verdict:
    """The verdict with what came before it, which says how to take it."""
    head = snapshot.head
    return replace(
        verdict,
        extensions=head.extensions,
        looks_before=head.looks_before,
        earlier=snapshot.results.earlier,
        unstated=bool(head.extensions and snapshot.study.inputs.unknown),
    )


def _scored(snapshot: Snapshot) -> tuple[Scored, ...]:
    over = snapshot.results.of(Purpose.VERIFY)
    return tuple(
        Scored(trial.rank_vector, trial.seed, trial.score, trial.texts, trial.rate)
        for trial in over
    )


def _missing(snapshot: Snapshot, step: Sequence[Run]) -> tuple[PlannedTrial, ...]:
    """The trials of the round that were not queued yet; of a long round the first, as they end."""
    over = {_run(one) for one in snapshot.results.of(Purpose.VERIFY)}
    waiting = {_run(one) for one in snapshot.of(Purpose.VERIFY)}
    there = over | waiting
    missing = (run for run in step if run not in there)
    return tuple(_planned(snapshot, run) for run in islice(missing, MOST - len(waiting)))


def _run(trial: Result | OpenTrial) -> Run:
    return Run(trial.rank_vector, trial.seed, trial.rate)


def _planned(snapshot: Snapshot, run: Run) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.VERIFY,
        rank_vector=run.rank_vector,
        seed=run.seed,
        steps=snapshot.study.search.trial.steps,
        split=_split(snapshot, run.seed),
        rate=run.rate,
        priority=1,
        reason=_reason(run),
    )


def _reason(run: Run) -> str:
    if run.rate == 1.0:
        return "paired seed of the verification"
    return f"paired seed of the verification, at {run.rate:g} times the learning rate"


def _split(snapshot: Snapshot, seed: int) -> Split:
    """The rounds that choose the winner leave the final half alone: it only judges."""
    return Split.SELECTION if seed in snapshot.seeds.choosing else Split.FINAL
