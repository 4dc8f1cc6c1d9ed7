"""The verification stage: fresh seeds for the candidates and their rivals, until the verdict."""

from collections.abc import Sequence

from perfmodel.verification import Arms, Scored, next_step
from rankspace import Purpose, RankVector, Verdict
from rankspace.errors import TrialFailed
from rankspace.study import CHOOSING_SEEDS, StudyState
from rankspace.trial import Split
from rankspace.wire import decode, encode
from service.stages.basis import Basis
from service.stages.plan import Plan, Turn
from service.trials.planned import PlannedTrial

FRESH_SEEDS = 1_000_000
"""Added to the study's seed: verification shares none with the search, however often it repeats."""


def plan_verification(basis: Basis) -> Plan:
    try:
        step = next_step(
            decode(Arms, basis.head.arms, "arms"),
            _scored(basis),
            basis.study.verify,
            first_seed(basis),
            space=basis.space,
            trials=basis.ledger.searched,
        )
    except TrialFailed as error:
        return Plan(turn=Turn(StudyState.FAILED, error=error.detail))
    if isinstance(step, Verdict):
        return Plan(turn=Turn(StudyState.RECOVERING, verdict=encode(step)))
    return Plan(queued=_missing(basis, step))


def first_seed(basis: Basis) -> int:
    return basis.study.search.seed + FRESH_SEEDS


def _scored(basis: Basis) -> tuple[Scored, ...]:
    over = basis.ledger.of(Purpose.VERIFY)
    return tuple(Scored(trial.rank_vector, trial.seed, trial.score) for trial in over)


def _missing(basis: Basis, step: Sequence[tuple[RankVector, int]]) -> tuple[PlannedTrial, ...]:
    """The trials of the round that were not queued yet."""
    over = {(trial.rank_vector, trial.seed) for trial in basis.ledger.of(Purpose.VERIFY)}
    there = over | {(trial.rank_vector, trial.seed) for trial in basis.of(Purpose.VERIFY)}
    return tuple(_planned(basis, *pair) for pair in step if pair not in there)


def _planned(basis: Basis, vector: RankVector, seed: int) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.VERIFY,
        rank_vector=vector,
        seed=seed,
        steps=basis.study.search.trial.steps,
        split=_split(basis, seed),
        priority=1,
        reason="paired seed of the verification",
    )


def _split(basis: Basis, seed: int) -> Split:
    """The rounds that choose the winner leave the final half alone: it only judges."""
    chooses = seed < first_seed(basis) + CHOOSING_SEEDS
    return Split.SELECTION if chooses else Split.FINAL
