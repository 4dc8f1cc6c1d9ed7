"""The search stage: learn what came in, keep the offers fresh, and end when the budget is spent."""

import math
from collections.abc import Sequence
from dataclasses import replace

import perfmodel
from perfmodel import ModelState
from rankspace import Proposal, Purpose, RankVector, TrialState
from rankspace.study import StudyState
from rankspace.wire import encode
from service.stages.basis import Basis, TrialFact
from service.stages.learning import first_state, learned, proposals, stored_state
from service.stages.plan import Plan, Proposed, Turn
from service.trials.planned import PlannedTrial

CONTROL_SEED = 7_919
"""Added to the study's seed for the random control vectors."""


FUTILE = 5
"""Failed search trials, with not one success, after which the rest would fail as well."""


def plan_search(basis: Basis) -> Plan:
    if _is_futile(basis):
        return _give_up(basis)
    state, fresh = _learn(basis)
    plan = _offers(basis, state, fresh > 0)
    controls = _controls(basis)
    watermark = basis.watermark + fresh
    knowledge = (watermark, state.to_bytes()) if fresh or basis.blob is None else None
    plan = replace(plan, knowledge=knowledge, queued=controls)
    return replace(plan, turn=_turn(basis, state)) if _is_over(basis, plan) else plan


def _is_futile(basis: Basis) -> bool:
    over = [trial for trial in basis.of(Purpose.SEARCH) if trial.is_over]
    patience = FUTILE * (1 + basis.retries)  # a resumed study gets as many once more
    return len(over) >= patience and all(trial.score is None for trial in over)


def _give_up(basis: Basis) -> Plan:
    waiting = [t for t in basis.of(Purpose.SEARCH, Purpose.CONTROL) if t.state is TrialState.QUEUED]
    turn = Turn(StudyState.FAILED, error=_why(basis))
    return Plan(withdrawn=tuple(trial.id for trial in waiting), turn=turn)


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
    search = basis.of(Purpose.SEARCH)
    offers = [trial for trial in search if trial.is_offer]
    taken = [trial for trial in search if not trial.is_offer]
    under_way = [trial for trial in taken if not trial.is_over]
    room = _room(basis, len(taken))
    wanted = min(max(basis.workers, 1), room)
    limit = wanted if has_learned else room
    surplus = [*offers[limit:], *(_idle_controls(basis) if is_spent(basis) else ())]
    plan = Plan(withdrawn=tuple(trial.id for trial in surplus))
    if has_learned:
        proposed = _propose(basis, state, wanted, under_way, renewed=offers[:limit])
    else:
        pending = sorted([*under_way, *offers[:limit]], key=lambda trial: trial.id)
        proposed = _propose(basis, state, wanted - len(offers[:limit]), pending, renewed=())
    return replace(plan, proposed=proposed)


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
    others = [t for t in basis.of(Purpose.SEARCH, Purpose.CONTROL) if t.id not in replaced]
    return Proposed(
        watermark=len(basis.accepted(Purpose.SEARCH)),
        pending=tuple(trial.id for trial in pending),
        renewed=tuple(trial.id for trial in renewed),
        offers=_planned(basis, made, [trial.rank_vector for trial in others]),
    )


def _room(basis: Basis, taken: int) -> int:
    return 0 if is_spent(basis) else max(basis.study.search.budget.trials - taken, 0)


def _planned(
    basis: Basis, made: Sequence[Proposal], tried: Sequence[RankVector]
) -> tuple[PlannedTrial, ...]:
    planned: list[PlannedTrial] = []
    for proposal in made:
        earlier = [*tried, *(trial.rank_vector for trial in planned)]
        planned.append(search_trial(basis, proposal.rank_vector, earlier, proposal))
    return tuple(planned)


def search_trial(
    basis: Basis,
    vector: RankVector,
    tried: Sequence[RankVector],
    proposal: Proposal | None = None,
    purpose: Purpose = Purpose.SEARCH,
) -> PlannedTrial:
    """All vectors share the study's seed; a repeat of a vector gets the next one."""
    search = basis.study.search
    return PlannedTrial(
        purpose=purpose,
        rank_vector=vector,
        seed=search.seed + tried.count(vector),
        steps=search.trial.steps,
        proposed=proposal is not None,
        mean=proposal.mean if proposal else None,
        std=proposal.std if proposal else None,
        reason=proposal.reason if proposal else "random control",
    )


def _controls(basis: Basis) -> tuple[PlannedTrial, ...]:
    """Queue one control per search trial begun, so that both arms run side by side."""
    if not basis.study.verify.random_control or is_spent(basis):
        return ()
    begun = sum(not trial.is_offer for trial in basis.of(Purpose.SEARCH))
    have = len(basis.of(Purpose.CONTROL))
    if have >= min(begun, basis.study.search.budget.trials):
        return ()
    tried = [trial.rank_vector for trial in basis.of(Purpose.SEARCH, Purpose.CONTROL)]
    return tuple(
        search_trial(basis, vector, tried, purpose=Purpose.CONTROL)
        for vector in _control_vectors(basis)[have:begun]
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
