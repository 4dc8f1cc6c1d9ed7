"""The verification stage: fresh seeds for the candidates and their rivals, until the verdict."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from perfmodel.evidence.verification import Scored, next_step
from rankspace import Purpose, RankVector, Verdict
from rankspace.errors import TrialFailed
from rankspace.study import CHOOSING_SEEDS, StudyState
from rankspace.trial import Split
from service.planning.plan import Plan, Turn
from service.planning.snapshot import Snapshot
from service.studies import findings
from service.trials.planned import PlannedTrial

MOST = 200
"""Trials of verification that are open at a time: queueing is one write, and others wait for it."""


def plan_verification(snapshot: Snapshot) -> Plan:
    arms = snapshot.head.arms
    assert arms is not None  # the turn to this stage chose them
    try:
        step = next_step(
            arms,
            _scored(snapshot),
            snapshot.study.verify,
            first_seed(snapshot),
            space=snapshot.space,
            trials=snapshot.results.searched,
            looks=snapshot.head.looks,
        )
    except TrialFailed as error:
        return Plan(turn=Turn(StudyState.FAILED, error=error.detail))
    if isinstance(step, Verdict):
        return Plan(turn=Turn(StudyState.RECOVERING, verdict=_with_history(snapshot, step)))
    return Plan(queued=_missing(snapshot, step))


def first_seed(snapshot: Snapshot) -> int:
    return findings.first_seed(snapshot.study, snapshot.head.looks)


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
    return tuple(Scored(trial.rank_vector, trial.seed, trial.score) for trial in over)


def _missing(
    snapshot: Snapshot, step: Sequence[tuple[RankVector, int]]
) -> tuple[PlannedTrial, ...]:
    """The trials of the round that were not queued yet; of a long round the first, as they end."""
    over = {(trial.rank_vector, trial.seed) for trial in snapshot.results.of(Purpose.VERIFY)}
    waiting = {(trial.rank_vector, trial.seed) for trial in snapshot.of(Purpose.VERIFY)}
    there = over | waiting
    missing = (pair for pair in step if pair not in there)
    return tuple(_planned(snapshot, *pair) for pair in islice(missing, MOST - len(waiting)))


def _planned(snapshot: Snapshot, vector: RankVector, seed: int) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.VERIFY,
        rank_vector=vector,
        seed=seed,
        steps=snapshot.study.search.trial.steps,
        split=_split(snapshot, seed),
        priority=1,
        reason="paired seed of the verification",
    )


def _split(snapshot: Snapshot, seed: int) -> Split:
    """The rounds that choose the winner leave the final half alone: it only judges."""
    chooses = seed < first_seed(snapshot) + CHOOSING_SEEDS
    return Split.SELECTION if chooses else Split.FINAL
