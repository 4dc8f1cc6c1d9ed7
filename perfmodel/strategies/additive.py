"""``additive``: a Bayesian utility per layer, an exact knapsack over them, Thompson sampling.

Where its trials stay below uniform the layers do not add up, and a Gaussian process climbs instead.
"""

from collections.abc import Collection, Sequence

import numpy as np

from perfmodel.additive.levelled import Levelled
from perfmodel.additive.posterior import Posterior
from perfmodel.allocation.grid import on_grid
from perfmodel.arrays import Floats
from perfmodel.reasons import moves
from perfmodel.state import ModelState
from perfmodel.strategies.caution import CAUTION, cautious, lacking
from perfmodel.strategies.climbing.improving import Improving
from perfmodel.strategies.climbing.process import Process
from perfmodel.strategies.climbing.turns import Turns
from perfmodel.strategies.memory import remembered
from perfmodel.strategies.observed import Observed, contenders
from perfmodel.strategies.swap import Swap
from rankspace import Proposal, RankVector

WARMTH = 2.0
"""Spread of the first samples around the mean, in posterior standard deviations."""

HELD = 0.6
"""Part of the trials after the design during which the samples stay that warm."""

RETRIES = 6
"""Samples drawn, each wilder, before a new vector is sought next to the best one."""

ROUGH = 0.03
"""What a sample's allocation may lose, in units of what the sample's most worthy layer gains: far
less than the sample is off by."""

SAFETY = 1.0
"""Standard deviations by which the economy vector must be predicted not to be worse."""

OVERRULED = "The model ranks trials worse than no model"

SURE = 2.0
"""Standard deviations by which the process must believe its best trial better than the answer."""


ASKED = 4
"""Samples drawn for each vector that is to be surveyed: many of them agree on theirs."""

SURVEYING = 3
"""Beside the study's seed: the samples of what to survey are no proposal's."""


class Additive:
    """Design, then Thompson samples that cool down to the posterior mean at the planned end."""

    source = (
        "Thompson 1933 on a hierarchical linear model; Russo & Van Roy 2014; exact knapsack; "
        "EGO (Jones et al. 1998) by turns"
    )

    def propose(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer the next vector of the design, or of the model or the process, by turns."""
        if planned_vector(state, pending) is None and _is_for_process(state, len(pending)):
            vector = improving(state).vector(pending)
            if vector is not None:
                return _proposal(state, vector, _climbed_reason(state, vector))
        return self.sampled(state, pending, rng)

    def sampled(
        self, state: ModelState, pending: Collection[RankVector], rng: np.random.Generator
    ) -> Proposal:
        """Offer the next vector of the design, a Thompson sample, or the guard's choice."""
        planned = planned_vector(state, pending)
        if planned is not None:
            return _proposal(state, planned, _design_reason(state, planned))
        if state.posterior is None:
            return Swap().propose(state, pending, rng)
        if state.posterior.fit.misleads:
            return _fall_back(state, pending, rng, OVERRULED)
        thrifty = self._thrifty(state, pending)
        if thrifty is not None:
            return _proposal(state, thrifty, "The cheapest vector predicted to match uniform")
        return self._sample(state, state.posterior, pending, rng)

    def prepare(self, state: ModelState) -> None:
        """Derive now what a proposal would wait for, once the model is learned."""
        if state.posterior is None or not state.space.free_layers:
            return
        if state.posterior.fit.misleads or Turns.of(state).may_be_for_process:
            improving(state).prepare()

    def _thrifty(self, state: ModelState, pending: Collection[RankVector]) -> RankVector | None:
        """Once, when the samples begin to cool: measure what saving parameters would cost."""
        begin = len(state.setup.design)
        if _done(state, pending) != begin + int(HELD * (state.trials - begin)):
            return None
        vector = self.economy(state)
        return None if vector in state.tried or vector in pending else vector

    def _sample(
        self,
        state: ModelState,
        posterior: Posterior,
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> Proposal:
        warmth = _warmth(state, pending)
        mean = posterior.mean_tables()
        for attempt in range(RETRIES):
            heat = warmth + 0.25 * attempt
            tables = on_grid(mean + heat * (posterior.sample_tables(rng) - mean))
            vector = state.setup.allocator.best(tables, tolerance=ROUGH)
            if vector not in pending and vector not in state.tried:
                how = "Thompson sample" if heat > 0.0 else "Best by the model"
                return _proposal(
                    state, vector, f"{how}: {moves(state.space, state.setup.uniform, vector)}"
                )
        return _fall_back(state, pending, rng, "The model's best vectors are all tried")

    def predict(self, state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the noiseless score, ``(n,)`` each."""
        if state.posterior is None:
            return Observed().predict(state, vectors)
        return state.posterior.predict(vectors)

    def leaders(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """The model's optimum over the whole space, then the best feasible tried by its mean.

        The first of them that is safe by ``cautious`` leads, or uniform; but the best trial as the
        process sees it, where the model's own latest trials are behind.
        """
        if state.posterior is None:
            return Observed().leaders(state, count)
        return remembered(state, "leaders of additive", lambda: _leading(state))[:count]

    def to_survey(self, state: ModelState, count: int) -> tuple[RankVector, ...]:
        """The optimum, then those of samples: best vectors of which the survey has no score yet."""
        if state.posterior is None:
            return ()
        posterior, known = state.posterior, {one.rank_vector for one in state.surveyed}
        rng = np.random.default_rng([state.seed, SURVEYING, len(known)])
        found: dict[RankVector, None] = {}
        for draw in range(ASKED * count):
            tables = on_grid(posterior.sample_tables(rng) if draw else posterior.mean_tables())
            vector = state.setup.allocator.best(tables, tolerance=ROUGH)
            if vector not in known:
                found[vector] = None
            if len(found) == count:
                break
        return tuple(found)

    def economy(self, state: ModelState) -> RankVector | None:
        """Bisect the budget for the cheapest optimum predicted not to be worse than uniform."""
        if state.posterior is None:
            return None
        tables, uniform = on_grid(state.posterior.mean_tables()), state.setup.uniform
        ceiling = state.space.max_parameters
        dear = ceiling - state.space.parameters(uniform) + 1  # spare: strictly below uniform
        cheap = ceiling - state.space.parameters(state.space.cheapest())
        found = None
        while dear <= cheap:
            spare = (dear + cheap) // 2 if found else dear
            vector = state.setup.allocator.best(tables, spare=spare)
            mean, std = state.posterior.difference(vector, uniform)
            if mean - SAFETY * std < 0.0:
                if not found:
                    return None
                cheap = spare - 1
            else:
                found, dear = vector, spare + max(1, ceiling // 500)
        return found


def improving(state: ModelState) -> Improving:
    """The climbs on a process that learned all trials; at least two have a score."""
    return remembered(state, "improving of additive", lambda: _improving(state))


def _improving(state: ModelState) -> Improving:
    assert state.posterior is not None
    trials = Levelled.of(state.posterior, state.scored)
    return Improving(state, Process.fit(state.space, trials))


def _is_for_process(state: ModelState, pending: int) -> bool:
    """Whether the process proposes next, after the design; it follows from the trials alone."""
    if state.posterior is None or not state.space.free_layers:
        return False
    return state.posterior.fit.misleads or Turns.of(state).awaiting(pending).is_for_process


def _leading(state: ModelState) -> tuple[RankVector, ...]:
    """Where the process has had turns the layers do not add up: no untried optimum leads there."""
    posterior, uniform = state.posterior, state.setup.uniform
    assert posterior is not None
    optimum = state.setup.allocator.best(on_grid(posterior.mean_tables()))
    tried = contenders(state)
    if tried:
        tried = [tried[at] for at in np.argsort(-posterior.means(tried), kind="stable")]
    known = lacking(posterior, state.scored, uniform, float(posterior.means([uniform])[0]))
    turns = Turns.of(state)
    untried = () if turns.theirs and tried else (optimum,)
    ahead = cautious(
        (*untried, *tried), uniform, lambda these: posterior.gains(these, uniform), known
    )
    if not turns.is_judged or not state.space.free_layers:
        return tuple(dict.fromkeys(ahead))
    return tuple(dict.fromkeys((_doubted(state, ahead[0]), ahead[0], optimum, *ahead)))


def _doubted(state: ModelState, answer: RankVector) -> RankVector:
    """The additive model's ``answer``, or the best trial as the process sees it, or uniform."""
    climbs = improving(state)
    process, best = climbs.process, climbs.parents[0]
    (reached,), _ = process.predict([best])
    if answer != state.setup.uniform and Turns.of(state).comes_near(float(reached)):
        (gain,), (std,) = process.gains([best], answer)
        return best if gain > SURE * std and _is_safe(state, best) else answer
    return best if _is_safe(state, best) else state.setup.uniform


def _is_safe(state: ModelState, vector: RankVector) -> bool:
    """Whether the process believes it better than uniform, by what uniform's own trials say."""
    process, uniform = improving(state).process, state.setup.uniform
    (predicted,), _ = process.predict([uniform])
    assert state.posterior is not None
    known = lacking(state.posterior, state.scored, uniform, float(predicted))
    (gain,), (std,) = process.gains([vector], uniform)
    return bool(gain - CAUTION * std > max(known, 0.0))


def planned_vector(state: ModelState, pending: Collection[RankVector]) -> RankVector | None:
    """Return the next vector of the design, while it lasts."""
    if len(state.tried) >= len(state.setup.design):
        return None
    taken = state.tried | set(pending)
    left = [vector for vector in state.setup.design if vector not in taken]
    return left[0] if left and len(taken) < len(state.setup.design) else None


def _done(state: ModelState, pending: Collection[RankVector]) -> int:
    """Trials begun."""
    return len(state.observations) + len(pending)


def _warmth(state: ModelState, pending: Collection[RankVector]) -> float:
    """Stay at ``WARMTH`` for a while after the design, then cool to 0 for the last trials."""
    begin = len(state.setup.design)
    share = (_done(state, pending) - begin) / max(1, state.trials - begin - 1)
    return WARMTH * float(np.clip((1.0 - share) / (1.0 - HELD), 0.0, 1.0))


def _design_reason(state: ModelState, vector: RankVector) -> str:
    if vector == state.setup.uniform:
        return "Design: the uniform vector, the baseline of everything"
    return f"Design: {moves(state.space, state.setup.uniform, vector)}, to tell the groups apart"


def _climbed_reason(state: ModelState, vector: RankVector) -> str:
    shift = moves(state.space, state.setup.uniform, vector)
    if state.posterior is not None and state.posterior.fit.misleads:
        return f"{OVERRULED}; best of the process: {shift}"
    return f"Best of the process: {shift}"


def _fall_back(
    state: ModelState, pending: Collection[RankVector], rng: np.random.Generator, why: str
) -> Proposal:
    proposal = Swap().propose(state, pending, rng)
    return _proposal(state, proposal.rank_vector, f"{why}; {proposal.reason}")


def _proposal(state: ModelState, vector: RankVector, reason: str) -> Proposal:
    if state.posterior is None:
        return Proposal(vector, None, None, reason)
    mean, std = state.posterior.predict([vector])
    return Proposal(vector, float(mean[0]), float(std[0]), reason)
