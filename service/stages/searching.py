"""The search stage: learn what came in, keep the offers fresh, and end when the budget is spent."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import perfmodel
from perfmodel import ModelState
from rankspace import Proposal, Purpose, RankVector, TrialState
from rankspace.study import StudyState
from rankspace.wire import encode
from service.stages.basis import Basis, TrialFact
from service.stages.learning import first_state, learned, proposals, stored_state
from service.stages.plan import Plan, Proposed, Turn
from service.trials.planned import PlannedTrial, Run, next_seed

CONTROL_SEED = 7_919
"""Added to the study's seed for the random control vectors."""

FUTILE = 5
"""Failed search trials, with not one success, after which the rest would fail as well."""

LOOK_AHEAD = 4
"""Offers at most, however many workers wait: each result makes them all anew."""


def plan_search(basis: Basis) -> Plan:
    if _looks_futile(basis) and not _is_anything_at_work(basis):
        return _give_up(basis)
    state, fresh = _learn(basis)
    plan = _offers(basis, state, fresh > 0)
    controls = _controls(basis, plan.proposed)
    watermark = basis.watermark + fresh
    knowledge = (watermark, state.to_bytes()) if fresh or basis.blob is None else None
    plan = replace(plan, knowledge=knowledge, queued=controls)
    return replace(plan, turn=_turn(basis, state)) if _is_over(basis, plan) else plan


def _looks_futile(basis: Basis) -> bool:
    over = [trial for trial in basis.taken if trial.is_over]
    patience = FUTILE * (1 + basis.retries)  # a resumed study gets as many once more
    return len(over) >= patience and all(trial.score is None for trial in over)


def _is_anything_at_work(basis: Basis) -> bool:
    """Whether a search trial may still succeed where one worker failed all of its own."""
    return any(trial.claimed and not trial.is_over for trial in basis.taken)


def _give_up(basis: Basis) -> Plan:
    turn = Turn(StudyState.FAILED, error=_why(basis))
    return Plan(withdrawn=tuple(trial.id for trial in basis.offers), turn=turn)


def is_spent(basis: Basis) -> bool:
    """Whether the time limit forbids further search trials."""
    hours = basis.study.search.budget.gpu_hours
    return hours is not None and basis.search_seconds >= hours * 3600


def _learn(basis: Basis) -> tuple[ModelState, int]:
    search = basis.study.search
    state = stored_state(basis.blob) if basis.blob else first_state(basis.space, search)
    fresh = basis.accepted(Purpose.SEARCH)[basis.watermark :]
    return learned(state, (trial.observation() for trial in fresh)), len(fresh)


def _offers(basis: Basis, state: ModelState, has_learned: bool) -> Plan:
    """Make all offers anew after learning, else only the ones that are missing."""
    offers, room = basis.offers, _room(basis)
    under_way = [trial for trial in basis.taken if not trial.is_over]
    wanted = min(max(basis.workers, 1), LOOK_AHEAD, room)
    limit = wanted if has_learned else room
    surplus = [*offers[limit:], *(_idle_controls(basis) if is_spent(basis) else ())]
    plan = Plan(withdrawn=tuple(trial.id for trial in surplus))
    if has_learned:
        proposed = _propose(basis, state, wanted, under_way, renewed=offers[:limit])
    else:
        pending = sorted([*under_way, *offers[:limit]], key=lambda trial: trial.id)
        proposed = _propose(basis, state, wanted - len(offers[:limit]), pending, renewed=())
    return replace(plan, proposed=proposed)


def _room(basis: Basis) -> int:
    """Search trials that may still be offered; none while all that is known are failures."""
    if is_spent(basis) or _looks_futile(basis):
        return 0
    return max(basis.study.search.budget.trials - len(basis.taken), 0)


def _idle_controls(basis: Basis) -> list[TrialFact]:
    controls = basis.of(Purpose.CONTROL)
    return [trial for trial in controls if not trial.claimed and not trial.is_over]


def _propose(
    basis: Basis,
    state: ModelState,
    count: int,
    pending: Sequence[TrialFact],
    renewed: Sequence[TrialFact],
) -> Proposed | None:
    if count < 1:
        return None
    made = proposals(state, count, [trial.rank_vector for trial in pending])
    replaced = {trial.id for trial in renewed}
    planned: list[PlannedTrial] = []
    for proposal in made:
        runs = [*_runs(basis, without=replaced), *_runs_of(planned)]
        planned.append(_search_trial(basis, proposal.rank_vector, runs, proposal))
    return Proposed(
        watermark=len(basis.accepted(Purpose.SEARCH)),
        pending=tuple(trial.id for trial in pending),
        renewed=tuple(trial.id for trial in renewed),
        offers=tuple(planned),
    )


def _runs(basis: Basis, without: Collection[int] = ()) -> list[Run]:
    trials = basis.of(Purpose.SEARCH, Purpose.CONTROL)
    return [(trial.rank_vector, trial.seed) for trial in trials if trial.id not in without]


def _runs_of(planned: Iterable[PlannedTrial]) -> list[Run]:
    return [(trial.rank_vector, trial.seed) for trial in planned]


def _search_trial(
    basis: Basis, vector: RankVector, runs: Iterable[Run], proposal: Proposal
) -> PlannedTrial:
    search = basis.study.search
    return PlannedTrial(
        purpose=Purpose.SEARCH,
        rank_vector=vector,
        seed=next_seed(search.seed, vector, runs),
        steps=search.trial.steps,
        proposed=True,
        mean=proposal.mean,
        std=proposal.std,
        reason=proposal.reason,
    )


def _controls(basis: Basis, proposed: Proposed | None) -> tuple[PlannedTrial, ...]:
    """Queue one control per search trial begun, so that both arms run side by side."""
    if not basis.study.verify.random_control or is_spent(basis):
        return ()
    have = len(basis.of(Purpose.CONTROL))
    runs = [*_runs(basis), *_runs_of(proposed.offers if proposed else ())]
    planned: list[PlannedTrial] = []
    for vector in _control_vectors(basis)[have : len(basis.taken)]:
        planned.append(_control(basis, vector, [*runs, *_runs_of(planned)]))
    return tuple(planned)


def _control(basis: Basis, vector: RankVector, runs: Iterable[Run]) -> PlannedTrial:
    search = basis.study.search
    return PlannedTrial(
        purpose=Purpose.CONTROL,
        rank_vector=vector,
        seed=next_seed(search.seed, vector, runs),
        steps=search.trial.steps,
        reason="random control",
    )


def _control_vectors(basis: Basis) -> tuple[RankVector, ...]:
    search = basis.study.search
    seed = search.seed + CONTROL_SEED
    return perfmodel.random_vectors(basis.space, search.budget.trials, seed)


def _is_over(basis: Basis, plan: Plan) -> bool:
    """Whether nothing is under way and nothing more will be."""
    trials = [t for t in basis.of(Purpose.SEARCH, Purpose.CONTROL) if t.id not in plan.withdrawn]
    return not plan.proposed and not plan.queued and all(trial.is_over for trial in trials)


def _turn(basis: Basis, state: ModelState) -> Turn:
    if all(trial.score is None for trial in basis.of(Purpose.SEARCH)):
        return Turn(StudyState.FAILED, error=_why(basis))
    return Turn(StudyState.VERIFYING, arms=encode(arms_of(basis, state)))


def _why(basis: Basis) -> str:
    reasons = [trial.error for trial in basis.of(Purpose.SEARCH) if trial.error]
    return f"no search trial succeeded; the last one: {reasons[-1] if reasons else 'unknown'}"


def _score(trial: TrialFact) -> float:
    return -math.inf if trial.score is None else trial.score


def arms_of(basis: Basis, state: ModelState) -> dict[str, object]:
    """Choose what enters verification: the best vectors, uniform, a cheap one, a random one."""
    controls = [t for t in basis.of(Purpose.CONTROL) if t.state is TrialState.DONE]
    best = max(controls, key=_score, default=None)
    return {
        "candidates": perfmodel.leaders(state, basis.study.verify.candidates),
        "uniform": basis.space.uniform(),
        "economy": perfmodel.economy(state),
        "random": best.rank_vector if best else None,
    }
