"""The recovery stage: the full fine-tune of the winner, whose adapter is the export."""

from rankspace import Purpose, RankVector, Verdict
from rankspace.study import StudyState
from rankspace.trial import Split
from rankspace.verdict import Answer
from rankspace.wire import decode
from service.stages.basis import Basis
from service.stages.plan import Plan, Turn
from service.stages.verifying import first_seed
from service.trials.planned import PlannedTrial


def plan_recovery(basis: Basis) -> Plan:
    """Run the recovery, and once more for each time a person resumed the study after a failure."""
    tried = basis.ledger.of(Purpose.RECOVER)
    if any(trial.score is not None for trial in tried):
        return Plan(turn=Turn(StudyState.DONE))
    if basis.of(Purpose.RECOVER):
        return Plan()
    if len(tried) <= basis.head.retries:
        return Plan(queued=(recovery(basis),))
    error = f"the recovery of the winner failed: {tried[-1].error or 'no reason given'}"
    return Plan(turn=Turn(StudyState.FAILED, error=error))


def recovery(basis: Basis) -> PlannedTrial:
    """The one full run: exactly ``recover.steps`` if given, else its epochs."""
    recover, verify = basis.study.recover, basis.study.verify
    return PlannedTrial(
        purpose=Purpose.RECOVER,
        rank_vector=winner(basis),
        seed=first_seed(basis) + verify.max_trials,
        steps=recover.steps or 0,
        epochs=recover.epochs,
        split=Split.FINAL,
        keep_adapter=True,
        priority=1,
        reason="full recovery of the winner",
    )


def winner(basis: Basis) -> RankVector:
    """The best vector if it is shown to be better, else the cheapest that is not worse.

    A vector without any adapter leaves nothing to train or export; then it is uniform's.
    """
    verdict = decode(Verdict, basis.head.verdict, "verdict")
    if verdict.answer is Answer.BETTER:
        return verdict.best_rank_vector
    cheapest = verdict.cheapest_rank_vector
    return cheapest if any(cheapest.ranks) else verdict.uniform_rank_vector
