"""The search stage: learn what came in, keep the offers fresh, and end when the budget is spent."""

from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

import perfmodel
from perfmodel.evidence.arms import Arms, Controls
from perfmodel.evidence.controls import control_vector, held
from perfmodel.evidence.luck import luck
from rankspace import Proposal, Purpose, RankVector
from rankspace.study import Control, StudyState
from service.planning.further import further_remark, is_scoring, plan_further, unscored
from service.planning.plan import Plan, Proposed, Turn
from service.planning.snapshot import OpenTrial, Snapshot
from service.studies.time_limit import limit_seconds
from service.trials.planned import PlannedTrial, Run, next_seed

CONTROL_SEED = 7_919
"""Added to the study's seed for the random control vectors."""

FUTILE = 5
"""Failed search trials, with not one success, after which the rest would fail as well."""

MAIN = 0.5
"""Share of the parameters on one kind of matrix below which a control is not all of that kind."""

LOOK_AHEAD = 4
"""Offers at most, however many workers wait: each result makes them all anew."""


def plan_search(snapshot: Snapshot) -> Plan:
    if _looks_futile(snapshot) and not _is_anything_at_work(snapshot):
        return _give_up(snapshot)
    has_learned = snapshot.results.searched > snapshot.watermark
    plan = _offers(snapshot, has_learned)
    is_news = has_learned or snapshot.head.watermark is None
    watermark = snapshot.results.searched if is_news else None
    controls = _controls(snapshot, plan.proposed)
    further = plan_further(snapshot) if plan.proposed and has_learned else ()
    plan = replace(plan, watermark=watermark, queued=(*controls, *further))
    if not _is_over(snapshot, plan) or is_scoring(snapshot):
        return plan
    return replace(plan, turn=_turn(snapshot), cancelled=unscored(snapshot))


def wants_proposals(snapshot: Snapshot) -> bool:
    """Whether the next step will ask the model for some."""
    if snapshot.head.state is not StudyState.SEARCHING:
        return False
    has_learned = snapshot.results.searched > snapshot.watermark
    return has_learned or len(snapshot.offers) < _wanted(snapshot)


def _looks_futile(snapshot: Snapshot) -> bool:
    patience = FUTILE * (1 + snapshot.head.retries)  # a resumed study gets as many once more
    return snapshot.results.searched >= patience and not snapshot.results.scored


def _is_anything_at_work(snapshot: Snapshot) -> bool:
    """Whether a search trial may still succeed where one worker failed all of its own."""
    return any(trial.claimed for trial in snapshot.under_way)


def _give_up(snapshot: Snapshot) -> Plan:
    turn = Turn(StudyState.FAILED, error=_why(snapshot))
    return Plan(withdrawn=tuple(trial.id for trial in snapshot.offers), turn=turn)


def is_spent(snapshot: Snapshot) -> bool:
    """Whether the time limit forbids further search trials."""
    return snapshot.search_seconds >= limit_seconds(snapshot.study.search.budget)


def _offers(snapshot: Snapshot, has_learned: bool) -> Plan:
    """Make all offers anew after learning, else only the ones that are missing."""
    offers, room = snapshot.offers, _room(snapshot)
    wanted = _wanted(snapshot)
    limit = wanted if has_learned else room
    surplus = [*offers[limit:], *(_idle_controls(snapshot) if is_spent(snapshot) else ())]
    plan = Plan(withdrawn=tuple(trial.id for trial in surplus))
    if has_learned:
        proposed = _propose(snapshot, wanted, snapshot.under_way, renewed=offers[:limit])
    else:
        pending = sorted([*snapshot.under_way, *offers[:limit]], key=lambda trial: trial.id)
        proposed = _propose(snapshot, wanted - len(offers[:limit]), pending, renewed=())
    return replace(plan, proposed=proposed)


def _wanted(snapshot: Snapshot) -> int:
    return min(max(snapshot.workers, 1), LOOK_AHEAD, _room(snapshot))


def _room(snapshot: Snapshot) -> int:
    """Search trials that may still be offered; none while all that is known are failures."""
    if is_spent(snapshot) or _looks_futile(snapshot):
        return 0
    return max(snapshot.study.search.budget.trials - snapshot.taken, 0)


def _idle_controls(snapshot: Snapshot) -> list[OpenTrial]:
    return [trial for trial in snapshot.of(Purpose.CONTROL) if not trial.claimed]


def _propose(
    snapshot: Snapshot, count: int, pending: Sequence[OpenTrial], renewed: Sequence[OpenTrial]
) -> Proposed | None:
    if count < 1:
        return None
    made = snapshot.results.propose(count, [trial.rank_vector for trial in pending])
    runs = _runs(snapshot, without={trial.id for trial in renewed})
    planned: list[PlannedTrial] = []
    for proposal in made:
        planned.append(_search_trial(snapshot, proposal, [*runs, *_runs_of(planned)]))
    return Proposed(
        watermark=snapshot.results.searched,
        pending=tuple(trial.id for trial in pending),
        renewed=tuple(trial.id for trial in renewed),
        offers=tuple(planned),
        surveys=snapshot.results.surveys,
    )


def _runs(snapshot: Snapshot, without: Collection[int] = ()) -> list[Run]:
    """Open runs of the search and its control; the results have those that are over."""
    trials = snapshot.of(Purpose.SEARCH, Purpose.CONTROL)
    return [(trial.rank_vector, trial.seed) for trial in trials if trial.id not in without]


def _runs_of(planned: Iterable[PlannedTrial]) -> list[Run]:
    return [(trial.rank_vector, trial.seed) for trial in planned]


def _seed(snapshot: Snapshot, vector: RankVector, runs: Iterable[Run]) -> int:
    """Seed of the next run of ``vector``, ``runs`` and finished ones before it."""
    last = snapshot.results.seeds.get(vector)
    finished = [] if last is None else [(vector, last)]
    return next_seed(snapshot.study.search.seed, vector, [*finished, *runs])


def _search_trial(snapshot: Snapshot, proposal: Proposal, runs: Iterable[Run]) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.SEARCH,
        rank_vector=proposal.rank_vector,
        seed=_seed(snapshot, proposal.rank_vector, runs),
        steps=snapshot.study.search.trial.steps,
        proposed=True,
        mean=proposal.mean,
        std=proposal.std,
        noise=snapshot.results.noise,
        reason=proposal.reason,
    )


def _controls(snapshot: Snapshot, proposed: Proposed | None) -> tuple[PlannedTrial, ...]:
    """Queue one control per search trial begun, so that both arms run side by side."""
    if not snapshot.study.verify.random_control or is_spent(snapshot):
        return ()
    runs = [*_runs(snapshot), *_runs_of(proposed.offers if proposed else ())]
    planned: list[PlannedTrial] = []
    for vector in _missing_controls(snapshot):
        planned.append(_control(snapshot, vector, [*runs, *_runs_of(planned)]))
    return tuple(planned)


def _missing_controls(snapshot: Snapshot) -> Iterator[RankVector]:
    """Draw as many as the search is ahead, none twice; each is a function of those before it."""
    begun: dict[RankVector, float | None] = {
        trial.rank_vector: None for trial in snapshot.of(Purpose.CONTROL)
    }
    taken = ChainMap[RankVector, float | None](begun, snapshot.results.control_scores)
    seed = snapshot.study.search.seed + CONTROL_SEED
    for number in range(snapshot.results.controls + len(begun), snapshot.taken):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        vector = perfmodel.another_vector(snapshot.space, taken, rng)
        if vector is None:
            return  # a tiny space: all have run
        taken[vector] = None
        yield vector


def _control(snapshot: Snapshot, vector: RankVector, runs: Iterable[Run]) -> PlannedTrial:
    return PlannedTrial(
        purpose=Purpose.CONTROL,
        rank_vector=vector,
        seed=_seed(snapshot, vector, runs),
        steps=snapshot.study.search.trial.steps,
        reason="random control",
    )


def _is_over(snapshot: Snapshot, plan: Plan) -> bool:
    """Whether nothing is under way and nothing more will be."""
    trials = snapshot.of(Purpose.SEARCH, Purpose.CONTROL)
    left = [trial for trial in trials if trial.id not in plan.withdrawn]
    return not plan.proposed and not plan.queued and not left


def _turn(snapshot: Snapshot) -> Turn:
    if not snapshot.results.scored:
        return Turn(StudyState.FAILED, error=_why(snapshot))
    arms, controls = chosen_arms(snapshot), chosen_controls(snapshot)
    note = further_remark(snapshot)
    return Turn(StudyState.VERIFYING, arms=arms, controls=controls, note=note)


def _why(snapshot: Snapshot) -> str:
    last = snapshot.results.last_error or "unknown"
    return f"no search trial succeeded; the last one: {last}"


def chosen_controls(snapshot: Snapshot) -> Controls:
    """Let as many random vectors choose as the search has candidates; and what luck gives them."""
    verify = snapshot.study.verify
    beside = Controls(vectors=_control_vectors(snapshot), rates=verify.other_rates)
    known = snapshot.results.control_scores.items()
    scored = [(vector, score) for vector, score in known if score is not None]
    if not scored:
        return beside
    ordered = sorted(scored, key=lambda one: -one[1])[: verify.candidates]
    best = snapshot.results.best_control
    first = best.rank_vector if best else None
    return replace(
        beside,
        random=tuple(vector for vector, _ in ordered if vector != first),
        luck=luck([score for _, score in scored]),
    )


def _control_vectors(snapshot: Snapshot) -> dict[str, RankVector]:
    """Those that can be made; of a study that was submitted without, none was asked for."""
    space, context = snapshot.space, snapshot.results.state.context
    found = {name: control_vector(name, space, context) for name in snapshot.study.verify.controls}
    return {
        _called(name, held(name, space, vector)): vector
        for name, vector in found.items()
        if vector is not None
    }


def _called(control: Control, share: float) -> str:
    """Its name; with what it leaves out, or the share that lies on it where less than half does."""
    if control is Control.EVA:
        return f"{control.value} (its ranks, not its initialisation)"
    if share >= MAIN:
        return control.value
    return f"{control.value} (holds {share:.0%} of the parameters, the rest is even)"


def chosen_arms(snapshot: Snapshot) -> Arms:
    """Choose what enters verification: the best vectors, uniform, a cheap one, a random one."""
    state, best = snapshot.results.state, snapshot.results.best_control
    return Arms(
        candidates=perfmodel.leaders(state, snapshot.study.verify.candidates),
        uniform=snapshot.space.uniform(),
        economy=perfmodel.economy(state),
        random=best.rank_vector if best else None,
    )
