"""``blend``: two models of the score that take turns until the trials say whom to believe."""

from collections.abc import Collection, Sequence

import numpy as np

from perfmodel.allocation.lattice import ordered
from perfmodel.arrays import Floats
from perfmodel.reasons import moves
from perfmodel.state import ModelState
from perfmodel.strategies.additive import Additive, planned_vector
from perfmodel.strategies.blending.beliefs import Beliefs
from perfmodel.strategies.caution import cautious, lacking
from perfmodel.strategies.climbing.improving import MUTANTS, PARENTS, ROUNDS, Improving
from perfmodel.strategies.memory import remembered
from perfmodel.strategies.observed import scored_vectors
from perfmodel.strategies.swap import Swap
from rankspace import Proposal, RankVector

HALF = 0.5
"""Part of the trials submitted until which the two take turns, whatever the reviews say."""

LEADING = 8
"""Trials that may become the answer, the best predicted, beside the optima of both models."""


class Blend:
    """The additive model and a Gaussian process, weighed by how well each foretells."""

    source = "Bayesian model averaging by left-out errors; EGO (Jones et al. 1998); Thompson 1933"

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer the next vector of the design, or what the model says whose turn it is."""
        planned = planned_vector(state, pending)
        beliefs = None if planned is not None else Beliefs.of(state)
        if beliefs is None or not _is_for_process(state, beliefs, pending):
            return _judged(state, Additive().sampled(state, pending, rng))
        vector = _improving(state, beliefs).vector(pending)
        if vector is None:
            vector = Swap().propose(state, pending, rng).rank_vector
        shift = moves(state.space, state.setup.uniform, vector)
        return _judged(state, Proposal(vector, None, None, f"Best of the process: {shift}"))

    def prepare(self, state: ModelState) -> None:
        """Derive now what a proposal would wait for, once the additive model is learned."""
        beliefs, _ = Beliefs.of(state), state.setup.design
        if beliefs is not None and _may_be_for_process(state, beliefs):
            _improving(state, beliefs).prepare()

    def predict(self, state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, of both models, ``(n,)`` each."""
        beliefs = Beliefs.of(state)
        if beliefs is None:
            return Additive().predict(state, vectors)
        return beliefs.predict(vectors)

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """What both models together believe best, of their optima, the best trials and uniform.

        The first of them that is safe by ``cautious`` leads, or uniform.
        """
        beliefs = Beliefs.of(state)
        if beliefs is None:
            return Additive().leaders(state, count)
        return remembered(state, "leaders of blend", lambda: _leading(state, beliefs))[:count]

    def economy(self, state: ModelState) -> RankVector | None:
        """What the additive model offers, unless both together expect it to be worse."""
        found = Additive().economy(state)
        beliefs = Beliefs.of(state)
        if found is None or beliefs is None:
            return found
        mean, _ = beliefs.predict([found, state.setup.uniform])
        return found if mean[0] >= mean[1] else None


def _leading(state: ModelState, beliefs: Beliefs) -> tuple[RankVector, ...]:
    uniform, tried = state.setup.uniform, _best_tried(state, beliefs)
    distinct = list(dict.fromkeys([*_optima(state, beliefs, tried), *tried, uniform]))
    mean, _ = beliefs.predict(distinct)
    ahead = [distinct[at] for at in ordered(mean)]
    predicted = float(mean[distinct.index(uniform)])
    less = lacking(beliefs.posterior, state.scored, uniform, predicted)
    return cautious(ahead, uniform, lambda these: beliefs.gains(these, uniform), less)


def _is_for_process(state: ModelState, beliefs: Beliefs, pending: Collection[RankVector]) -> bool:
    """Every other trial until half time, then all or none; it follows from the trials alone."""
    begun = len(state.observations) + len(pending)
    if begun < HALF * state.pace:
        return begun % 2 == 1
    return _may_be_for_process(state, beliefs)


def _may_be_for_process(state: ModelState, beliefs: Beliefs) -> bool:
    """Whether the next proposal may be the process's, whatever is pending."""
    if len(state.observations) < HALF * state.pace:
        return True
    return beliefs.review.rho > 1.0 or beliefs.posterior.fit.misleads


def _improving(state: ModelState, beliefs: Beliefs) -> Improving:
    return remembered(state, "improving of blend", lambda: Improving(state, beliefs.process))


def _optima(
    state: ModelState, beliefs: Beliefs, tried: Sequence[RankVector]
) -> tuple[RankVector, ...]:
    """The additive model's exactly; the process's and the mixture's as far as climbing finds."""
    lattice, rng = state.setup.lattice, np.random.default_rng(state.seed)
    ours = beliefs.additive_optimum(state)
    start = lattice.levels([ours, state.setup.uniform, *tried[:PARENTS]])
    ends = [ours]
    for worth in (beliefs.process_mean(lattice), beliefs.mean(lattice)):
        met, _ = lattice.climb(start, worth, rng, rounds=3 * ROUNDS, count=MUTANTS)
        ends.append(lattice.vector(met[0]))
        start = np.concatenate([start, met[:1]])
    return tuple(ends)


def _best_tried(state: ModelState, beliefs: Beliefs) -> list[RankVector]:
    tried = scored_vectors(state)
    if not tried:
        return []
    order = ordered(beliefs.predict(tried)[0])[:LEADING]
    return [tried[at] for at in order]


def _judged(state: ModelState, proposal: Proposal) -> Proposal:
    """With what both models together expect of it."""
    beliefs = Beliefs.of(state)
    if beliefs is None:
        return proposal
    mean, std = beliefs.predict([proposal.rank_vector])
    return Proposal(proposal.rank_vector, float(mean[0]), float(std[0]), proposal.reason)
