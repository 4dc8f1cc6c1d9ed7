"""The search stage: learn what came in, keep the offers fresh, and end when the budget is spent."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import perfmodel
from rankspace import Proposal, Purpose, RankVector
from rankspace.study import StudyState
from rankspace.wire import encode
from service.stages.basis import Basis, OpenTrial
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
    has_learned = basis.ledger.searched > basis.watermark
    plan = _offers(basis, has_learned)
    is_news = has_learned or basis.head.watermark is None
    watermark = basis.ledger.searched if is_news else None
    plan = replace(plan, watermark=watermark, queued=_controls(basis, plan.proposed))
    return replace(plan, turn=_turn(basis)) if _is_over(basis, plan) else plan


def _looks_futile(basis: Basis) -> bool:
    patience = FUTILE * (1 + basis.head.retries)  # a resumed study gets as many once more
    return basis.ledger.searched >= patience and not basis.ledger.scored


def _is_anything_at_work(basis: Basis) -> bool:
    """Whether a search trial may still succeed where one worker failed all of its own."""
    return any(trial.claimed for trial in basis.under_way)


def _give_up(basis: Basis) -> Plan:
    turn = Turn(StudyState.FAILED, error=_why(basis))
    return Plan(withdrawn=tuple(trial.id for trial in basis.offers), turn=turn)


def is_spent(basis: Basis) -> bool:
    """Whether the time limit forbids further search trials."""
    hours = basis.study.search.budget.gpu_hours
    return hours is not None and basis.search_seconds >= hours * 3600


def _offers(basis: Basis, has_learned: bool) -> Plan:
    """Make all offers anew after learning, else only the ones that are missing."""
    offers, room = basis.offers, _room(basis)
    wanted = min(max(basis.workers, 1), LOOK_AHEAD, room)
    limit = wanted if has_learned else room
    surplus = [*offers[limit:], *(_idle_controls(basis) if is_spent(basis) else ())]
    plan = Plan(withdrawn=tuple(trial.id for trial in surplus))
    if has_learned:
        proposed = _propose(basis, wanted, basis.under_way, renewed=offers[:limit])
    else:
        pending = sorted([*basis.under_way, *offers[:limit]], key=lambda trial: trial.id)
        proposed = _propose(basis, wanted - len(offers[:limit]), pending, renewed=())
    return replace(plan, proposed=proposed)


def _room(basis: Basis) -> int:
    """Search trials that may still be offered; none while all that is known are failures."""
    if is_spent(basis) or _looks_futile(basis):
        return 0
    return max(basis.study.search.budget.trials - basis.taken, 0)


def _idle_controls(basis: Basis) -> list[OpenTrial]:
    return [trial for trial in basis.of(Purpose.CONTROL) if not trial.claimed]


def _propose(
    basis: Basis, count: int, pending: Sequence[OpenTrial], renewed: Sequence[OpenTrial]
) -> Proposed | None:
    if count < 1:
        return None
    made = basis.ledger.propose(count, [trial.rank_vector for trial in pending])
    runs = _runs(basis, without={trial.id for trial in renewed})
    planned: list[PlannedTrial] = []
    for proposal in made:
        planned.append(_search_trial(basis, proposal, [*runs, *_runs_of(planned)]))
    return Proposed(
        watermark=basis.ledger.searched,
        pending=tuple(trial.id for trial in pending),
        renewed=tuple(trial.id for trial in renewed),
        offers=tuple(planned),
    )


def _runs(basis: Basis, without: Collection[int] = ()) -> list[Run]:
    """Open runs of the search and its control; the ledger knows those that are over."""
    trials = basis.of(Purpose.SEARCH, Purpose.CONTROL)
    return [(trial.rank_vector, trial.seed) for trial in trials if trial.id not in without]


def _runs_of(planned: Iterable[PlannedTrial]) -> list[Run]:
    return [(trial.rank_vector, trial.seed) for trial in planned]


def _seed(basis: Basis, vector: RankVector, runs: Iterable[Run]) -> int:
    """Seed of the next run of ``vector``, ``runs`` and finished ones before it."""
    last = basis.ledger.seeds.get(vector)
    finished = [] if last is None else [(vector, last)]
    return next_seed(basis.study.search.seed, vector, [*finished, *runs])


def _search_trial(basis: Basis, proposal: Proposal, runs: Iterable[Run]) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.SEARCH,
        rank_vector=proposal.rank_vector,
        seed=_seed(basis, proposal.rank_vector, runs),
        steps=basis.study.search.trial.steps,
        proposed=True,
        mean=proposal.mean,
        std=proposal.std,
        reason=proposal.reason,
    )


def _controls(basis: Basis, proposed: Proposed | None) -> tuple[PlannedTrial, ...]:
    """Queue one control per search trial begun, so that both arms run side by side."""
    if not basis.study.verify.random_control or is_spent(basis):
        return ()
    have = basis.ledger.controls + len(basis.of(Purpose.CONTROL))
    runs = [*_runs(basis), *_runs_of(proposed.offers if proposed else ())]
    planned: list[PlannedTrial] = []
    for vector in _control_vectors(basis)[have : basis.taken]:
        planned.append(_control(basis, vector, [*runs, *_runs_of(planned)]))
    return tuple(planned)


def _control(basis: Basis, vector: RankVector, runs: Iterable[Run]) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.CONTROL,
        rank_vector=vector,
        seed=_seed(basis, vector, runs),
        steps=basis.study.search.trial.steps,
        reason="random control",
    )


def _control_vectors(basis: Basis) -> tuple[RankVector, ...]:
    search, ledger = basis.study.search, basis.ledger
    if not ledger.control_vectors:
        seed = search.seed + CONTROL_SEED
        ledger.control_vectors = perfmodel.random_vectors(basis.space, search.budget.trials, seed)
    return ledger.control_vectors


def _is_over(basis: Basis, plan: Plan) -> bool:
    """Whether nothing is under way and nothing more will be."""
    trials = basis.of(Purpose.SEARCH, Purpose.CONTROL)
    left = [trial for trial in trials if trial.id not in plan.withdrawn]
    return not plan.proposed and not plan.queued and not left


def _turn(basis: Basis) -> Turn:
    if not basis.ledger.scored:
        return Turn(StudyState.FAILED, error=_why(basis))
    return Turn(StudyState.VERIFYING, arms=encode(arms_of(basis)))


def _why(basis: Basis) -> str:
    last = basis.ledger.last_error or "unknown"
    return f"no search trial succeeded; the last one: {last}"


def arms_of(basis: Basis) -> dict[str, object]:
    """Choose what enters verification: the best vectors, uniform, a cheap one, a random one."""
    state, best = basis.ledger.state, basis.ledger.best_control
    return {
        "candidates": perfmodel.leaders(state, basis.study.verify.candidates),
        "uniform": basis.space.uniform(),
        "economy": perfmodel.economy(state),
        "random": best.rank_vector if best else None,
    }
