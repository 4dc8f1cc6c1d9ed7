"""The recovery stage: the full fine-tune of the winner, whose adapter is the export.

If ``verify.at`` asks for it, uniform ranks are recovered beside it on a few seeds, and judged.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from perfmodel.evidence.recoveries import recipe_verdict, recoveries
from perfmodel.evidence.scores import Run, Scored, scores_of
from rankspace import Purpose, Verdict
from rankspace.study import StudyState
from rankspace.trial import Split
from service.planning.plan import Plan, Turn
from service.planning.snapshot import OpenTrial, Snapshot
from service.planning.verifying import has_earlier, trials_verdict
from service.trials.planned import PlannedTrial
from service.trials.results import Result

TRIES = 3
"""How often a run is queued that dies, losing all its workers; what diverges would do so again."""


def plan_recovery(snapshot: Snapshot) -> Plan:
    """Recover the pairs, if they are asked for, and have an adapter of what is to be exported.

    A pair that fails is lost, as in the verification.
    """
    verdict = trials_verdict(snapshot)
    runs = _pairs(snapshot, verdict)
    if missing := tuple(_missing(snapshot, runs)):
        return Plan(queued=missing)
    if snapshot.of(Purpose.RECOVER):
        return Plan()
    return _export(snapshot, _judged(snapshot, verdict) if runs else verdict, is_kept=not runs)


def _pairs(snapshot: Snapshot, verdict: Verdict) -> tuple[Run, ...]:
    is_asked_for = snapshot.study.verify.at == "recipe"
    return recoveries(verdict, _paired_seeds(snapshot)) if is_asked_for else ()


def _missing(snapshot: Snapshot, runs: Sequence[Run]) -> Iterator[PlannedTrial]:
    """Those not queued yet, or dead. Both adapters of the first seed are kept, for the export."""
    finished, first = _finished(snapshot), _seeds(snapshot)[0]
    deaths = Counter(_run(one) for one in finished if one.died)
    there = {_run(one) for one in finished if not one.died}
    there |= {_run(one) for one in snapshot.of(Purpose.RECOVER)}
    for run in runs:
        if run not in there and deaths[run] < TRIES + snapshot.head.retries:
            is_kept = run.seed == first and any(run.rank_vector.ranks)
            yield _planned(snapshot, run, _reason(run), keeps=is_kept)


def _reason(run: Run) -> str:
    trains = any(run.rank_vector.ranks)
    return "one of a pair of full recoveries" if trains else "the pruned model as it is"


def _judged(snapshot: Snapshot, verdict: Verdict) -> Verdict:
    over = [
        Scored(one.rank_vector, one.seed, one.score, one.texts)
        for one in _finished(snapshot)
        if not one.died
    ]
    # Where one ran again for its adapter, the first one counts.
    scores, seeds = scores_of(over[::-1]), _paired_seeds(snapshot)
    looks, least = snapshot.head.looks, snapshot.study.verify.least_gain
    return replace(verdict, recipe=recipe_verdict(verdict, scores, seeds, looks, least))


def _export(snapshot: Snapshot, verdict: Verdict, is_kept: bool) -> Plan:
    """Run what there is no adapter of, once more for each time a failed study was resumed.

    A study that fails keeps the answer of before it was extended, whose adapter is there.

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
    if (seed := _next_seed(snapshot, mine)) is not None:
        return Plan(queued=(_planned(snapshot, Run(vector, seed), _why(verdict), keeps=True),))
    reason = next(
        (one.error for one in reversed(mine) if one.kept and one.error), "no reason given"
    )
    error = f"the {_why(verdict)} failed: {reason}"
    told = None if has_earlier(snapshot) else told
    return Plan(turn=Turn(StudyState.FAILED, error=error, verdict=told))


def _next_seed(snapshot: Snapshot, mine: Sequence[Result]) -> int | None:
    """Seed to recover what is exported with; None where it was tried often enough.

    One that scored, else the first, and after it one that nothing ran with: it diverges as before.
    """
    kept, retries = [one.seed for one in mine if one.kept], snapshot.head.retries
    scored = next((one.seed for one in mine if _scored(one)), None)
    if scored is not None:
        return scored if kept.count(scored) <= retries else None
    first, *others = _seeds(snapshot)
    fresh = (first, *others[snapshot.study.verify.recipe_seeds - 1 :])
    return next((seed for seed in fresh if seed not in kept), None)


def _why(verdict: Verdict) -> str:
    if verdict.recovered == verdict.best_rank_vector:
        return "full recovery of the winner"
    is_uniform = verdict.recovered == verdict.uniform_rank_vector
    what = "uniform ranks" if is_uniform else "the cheapest vector that is not worse"
    return f"full recovery of {what}"


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
    """Of the recoveries after the verification of now, one more for each resumption.

    The first one is that of the export.
    """
    verify, seeds = snapshot.study.verify, snapshot.seeds
    first, most = verify.max_trials if seeds.counted else 0, verify.recipe_seeds
    return tuple(seeds.recovery(first + at) for at in range(most + snapshot.head.retries))


def _paired_seeds(snapshot: Snapshot) -> tuple[int, ...]:
    return _seeds(snapshot)[: snapshot.study.verify.recipe_seeds]


def _finished(snapshot: Snapshot) -> list[Result]:
    """Recoveries after the verification of now."""
    mine = _seeds(snapshot)
    return [one for one in snapshot.results.of(Purpose.RECOVER) if one.seed in mine]


def _run(trial: Result | OpenTrial) -> Run:
    return Run(trial.rank_vector, trial.seed)


def _scored(result: Result) -> bool:
    return result.score is not None
