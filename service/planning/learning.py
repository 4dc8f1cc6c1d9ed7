"""What the service asks of the performance model. A pure rim around ``perfmodel``.

The random stream of a proposal is numbered by the trials before it, finished or pending. So a
proposal is a function of the results accepted so far and of what is pending, however often or
seldom, before or after a crash, the service asked.
"""

from collections.abc import Sequence
from dataclasses import replace

import perfmodel
from perfmodel import ModelState
from perfmodel.additive.belief import Belief
from rankspace import Context, Observation, Proposal, RankVector, SearchSpace
from rankspace.observation import Taught
from rankspace.study import Search


def first_state(
    space: SearchSpace,
    search: Search,
    context: Context,
    belief: Belief | None,
    earlier: Sequence[Observation] = (),
    taught: Taught | None = None,
) -> ModelState:
    """Return the state before the first trial.

    It knows what the prior said at submission and the ``earlier`` results the study began with,
    which count as begun trials of a search that is so much longer; those of other studies by which
    it is ``taught`` do not.
    """
    state = perfmodel.start(
        space,
        strategy=search.strategy,
        seed=search.seed,
        trials=search.budget.trials + len(earlier),
        context=context,
    )
    return learned(replace(state, belief=belief, taught=taught), earlier)


def extended(state: ModelState, trials: int) -> ModelState:
    """Return the state of a search of so many more trials, which goes on with its design."""
    return state.extended(trials)


def learned(state: ModelState, seen: Sequence[Observation]) -> ModelState:
    """Learn results; batches of any size lead to the same state."""
    return perfmodel.learn(state, seen) if seen else state


def proposals(
    state: ModelState, count: int, pending: Sequence[RankVector]
) -> tuple[ModelState, tuple[Proposal, ...]]:
    """Propose one by one, each with the ones before pending: ``count`` changes none of them.

    Returns:
        An equal state that keeps what was derived from it meanwhile, and the proposals.
    """
    made: list[Proposal] = []
    for _ in range(count):
        under_way = (*pending, *(proposal.rank_vector for proposal in made))
        number = len(state.observations) + len(under_way)
        drawn, (proposal,) = perfmodel.propose(
            state.drawn(number - state.draws), count=1, pending=under_way
        )
        state = drawn.drawn(-drawn.draws)
        made.append(proposal)
    return state, tuple(made)
