"""What the service asks of the performance model. A pure rim around ``perfmodel``.

The state that ``propose`` returns is dropped: the random stream of a proposal is numbered by the
trials before it, finished or pending. So a proposal is a function of the results accepted so far
and of what is pending, however often or seldom, before or after a crash, the service asked.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import perfmodel
from perfmodel import ModelState
from rankspace import Observation, Proposal, RankVector, SearchSpace
from rankspace.study import Search


def first_state(space: SearchSpace, search: Search) -> ModelState:
    return perfmodel.start(
        space, strategy=search.strategy, seed=search.seed, trials=search.budget.trials
    )


@lru_cache(maxsize=16)
def stored_state(blob: bytes) -> ModelState:
    """Read a state; the cached one keeps what it has derived, so asking again is cheap."""
    return ModelState.from_bytes(blob)


def learned(state: ModelState, observations: Iterable[Observation]) -> ModelState:
    """Learn one by one, so that batches of any size lead to the same state."""
    for observation in observations:
        state = perfmodel.learn(state, [observation])
    return state


def proposals(state: ModelState, count: int, pending: Sequence[RankVector]) -> tuple[Proposal, ...]:
    """Propose one by one, each with the ones before pending: ``count`` changes none of them."""
    made: list[Proposal] = []
    for _ in range(count):
        under_way = (*pending, *(proposal.rank_vector for proposal in made))
        made.append(_next(state, under_way))
    return tuple(made)


def _next(state: ModelState, under_way: Sequence[RankVector]) -> Proposal:
    numbered = state.drawn(len(state.observations) + len(under_way) - state.draws)
    _, (proposal,) = perfmodel.propose(numbered, count=1, pending=under_way)
    return proposal
