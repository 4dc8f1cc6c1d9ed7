"""The recovery stage: the full fine-tune of the winner, whose adapter is the export."""

from rankspace import Purpose, RankVector
from rankspace.study import StudyState
from rankspace.trial import Split
from rankspace.verdict import Answer
from service.planning.plan import Plan, Turn
from service.planning.snapshot import Snapshot
from service.trials.planned import PlannedTrial


def plan_recovery(snapshot: Snapshot) -> Plan:
    """Run the recovery, and once more for each time a person resumed the study after a failure.

    The last adapter of before an extension stays if it is of the winner of now.
    """
    recoveries = snapshot.results.of(Purpose.RECOVER)
    adapters = [trial.rank_vector for trial in recoveries if trial.score is not None]
    if adapters[-1:] == [winner(snapshot)]:
        return Plan(turn=Turn(StudyState.DONE))
    tried = [trial for trial in recoveries if trial.seed == recovery(snapshot).seed]
    if snapshot.of(Purpose.RECOVER):
        return Plan()
    if len(tried) <= snapshot.head.retries:
        return Plan(queued=(recovery(snapshot),))
    error = f"the recovery of the winner failed: {tried[-1].error or 'no reason given'}"
    return Plan(turn=Turn(StudyState.FAILED, error=error))


def recovery(snapshot: Snapshot) -> PlannedTrial:
    """The one full run: exactly ``recover.steps`` if given, else its epochs."""
    recover, verify = snapshot.study.recover, snapshot.study.verify
    return PlannedTrial(
        purpose=Purpose.RECOVER,
        rank_vector=winner(snapshot),
        seed=snapshot.seeds.recovery(verify.max_trials if snapshot.seeds.counted else 0),
        steps=recover.steps or 0,
        epochs=recover.epochs,
        split=Split.FINAL,
        keep_adapter=True,
        priority=1,
        reason="full recovery of the winner",
    )


def winner(snapshot: Snapshot) -> RankVector:
    """The best vector if it is shown to be better, else the cheapest that is not worse.

    A vector without any adapter leaves nothing to train or export; then it is uniform's.
    """
    verdict = snapshot.head.verdict
    assert verdict is not None  # the turn to this stage brought it
    if verdict.answer is Answer.BETTER:
        return verdict.best_rank_vector
    cheapest = verdict.cheapest_rank_vector
    return cheapest if any(cheapest.ranks) else verdict.uniform_rank_vector
