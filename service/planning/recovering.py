"""The recovery stage: the full fine-tune of the winner, whose adapter is the export.

If ``verify.at`` asks for it, uniform ranks are recovered beside it on a few seeds, and judged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from perfmodel.evidence.recoveries import recipe_verdict, recoveries
from perfmodel.evidence.scores import Run, Scored, scores_of
from rankspace import Purpose, Verdict
from rankspace.study import StudyState
from rankspace.trial import Split
from service.planning.plan import Plan, Turn
from service.planning.snapshot import Snapshot
from service.trials.planned import PlannedTrial
from service.trials.results import Result


def plan_recovery(snapshot: Snapshot) -> Plan:
    """Recover the pairs, if they are asked for, and have an adapter of what is to be exported.

    A pair that fails is lost, as in the verification.
    """
    verdict = snapshot.head.verdict
    assert verdict is not None  # the turn to this stage brought it
    runs = _pairs(snapshot, verdict)
    if missing := tuple(_missing(snapshot, runs)):
        return Plan(queued=missing)
    if snapshot.of(Purpose.RECOVER):
        return Plan()
    return _export(snapshot, _judged(snapshot, verdict) if runs else verdict, is_kept=not runs)


def _pairs(snapshot: Snapshot, verdict: Verdict) -> tuple[Run, ...]:
    is_asked_for = snapshot.study.verify.at == "recipe"
    return recoveries(verdict, _seeds(snapshot)) if is_asked_for else ()


def _missing(snapshot: Snapshot, runs: Sequence[Run]) -> Iterator[PlannedTrial]:
    """Those not queued yet. Both adapters of the first seed are kept: either may be exported."""
    there = {Run(one.rank_vector, one.seed) for one in _finished(snapshot)}
    there |= {Run(one.rank_vector, one.seed) for one in snapshot.of(Purpose.RECOVER)}
    first = _seeds(snapshot)[0]
    for run in runs:
        if run not in there:
            is_kept = run.seed == first and any(run.rank_vector.ranks)
            yield _planned(snapshot, run, _reason(run), keeps=is_kept)


def _reason(run: Run) -> str:
    trains = any(run.rank_vector.ranks)
    return "one of a pair of full recoveries" if trains else "the pruned model as it is"


def _judged(snapshot: Snapshot, verdict: Verdict) -> Verdict:
    over = (Scored(one.rank_vector, one.seed, one.score, one.texts) for one in _finished(snapshot))
    least = snapshot.study.verify.least_gain
    # Where one ran again for its adapter, the first one counts.
    scores = scores_of([*over][::-1])
    looks = snapshot.head.looks
    return replace(verdict, recipe=recipe_verdict(verdict, scores, _seeds(snapshot), looks, least))


def _export(snapshot: Snapshot, verdict: Verdict, is_kept: bool) -> Plan:
    """Run what there is no adapter of, once more for each time a failed study was resumed.

    Args:
        snapshot: The study.
        verdict: All of it.
        is_kept: Whether the last adapter of before an extension stays if it is of this vector.
    """
    vector, told = verdict.recovered, verdict if verdict != snapshot.head.verdict else None
    adapters = [one for one in snapshot.results.of(Purpose.RECOVER) if one.kept and _scored(one)]
    done = Plan(turn=Turn(StudyState.DONE, verdict=told))
    if is_kept and adapters[-1:] and adapters[-1].rank_vector == vector:
        return done
    mine = [one for one in _finished(snapshot) if one.rank_vector == vector]
    if any(one.kept and _scored(one) for one in mine):
        return done
    seed = next((one.seed for one in mine if _scored(one)), _seeds(snapshot)[0])
    tried = [one for one in mine if one.seed == seed and one.kept]
    if len(tried) <= snapshot.head.retries:
        return Plan(queued=(_planned(snapshot, Run(vector, seed), _why(verdict), keeps=True),))
    error = f"the recovery of the winner failed: {tried[-1].error or 'no reason given'}"
    return Plan(turn=Turn(StudyState.FAILED, error=error, verdict=told))


def _why(verdict: Verdict) -> str:
    is_winner = verdict.recovered == verdict.best_rank_vector
    return "full recovery of the winner" if is_winner else "full recovery of what is exported"


def _planned(snapshot: Snapshot, run: Run, reason: str, *, keeps: bool) -> PlannedTrial:
    """One full run: exactly ``recover.steps`` if given, else its epochs."""
    recover = snapshot.study.recover
    return PlannedTrial(
        purpose=Purpose.RECOVER,
        rank_vector=run.rank_vector,
        seed=run.seed,
        steps=recover.steps or 0,
        epochs=recover.epochs,
        split=Split.FINAL,
        keep_adapter=keeps,
        priority=1,
        reason=reason,
    )


def _seeds(snapshot: Snapshot) -> tuple[int, ...]:
    """Of the recoveries after the verification of now; the first one is that of the export."""
    verify, seeds = snapshot.study.verify, snapshot.seeds
    first = verify.max_trials if seeds.counted else 0
    return tuple(seeds.recovery(first + number) for number in range(verify.recipe_seeds))


def _finished(snapshot: Snapshot) -> list[Result]:
    """Recoveries after the verification of now."""
    mine = _seeds(snapshot)
    return [one for one in snapshot.results.of(Purpose.RECOVER) if one.seed in mine]


def _scored(result: Result) -> bool:
    return result.score is not None
