"""What a study asks of its model."""

from collections.abc import Sequence

from perfmodel.additive.noise import NoiseEstimate
from perfmodel.allocation.knapsack import check_countable
from perfmodel.arrays import Floats
from perfmodel.meta.prior import read_prior
from perfmodel.state import ModelState
from perfmodel.strategies import STRATEGIES, check_requirements
from perfmodel.strategies.additive import Additive
from perfmodel.strategies.blending.blend import Blend
from rankspace import Context, Observation, Proposal, RankVector, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.observation import Surveyed
from rankspace.study import StrategyName


def start(
    space: SearchSpace,
    *,
    strategy: str = StrategyName.ADDITIVE,
    seed: int = 0,
    prior: bytes | None = None,
    trials: int = 60,
    context: Context | None = None,
) -> ModelState:
    """Return the state before the first trial.

    Args:
        space: What may be proposed.
        strategy: A key of ``STRATEGIES``.
        seed: Root of all randomness, at least 0.
        prior: A meta-learned prior, as ``perfmodel.meta.prior`` writes it, or None for no opinion.
        trials: Search trials planned, failed ones included; sets the pace of exploration.
        context: What the study holds fixed; without layer profiles a prior has no opinion.

    Raises:
        InvalidInput: An unknown strategy, or one that lacks what it needs; a damaged prior, a
            negative seed, no trials, a space with more parameters than can be counted.
        UnsupportedVersion: Another version of the program wrote the prior.
    """
    check_countable(space)
    known = [name.value for name in StrategyName]
    _require(strategy in known, "strategy", strategy, "unknown", f"use one of {known}")
    _require(seed >= 0, "seed", seed, "is negative", "use 0")
    _require(trials >= 1, "trials", trials, "must be at least 1", "use 60")
    context = context or Context()
    check_requirements(StrategyName(strategy), space, context)
    belief = None if prior is None else read_prior(prior).belief(space, context)
    return ModelState(space, StrategyName(strategy), seed, trials, context=context, belief=belief)


def propose(
    state: ModelState, *, count: int = 1, pending: Sequence[RankVector] = ()
) -> tuple[ModelState, tuple[Proposal, ...]]:
    """Offer ``count`` vectors to try next; deterministic in ``state`` and ``pending``.

    Args:
        state: What is known.
        count: How many to offer, at least 1.
        pending: Vectors that run now; they are not offered again, and count as trials under way.

    Returns:
        The state with its draw counter moved on, and the proposals. Each fits the space exactly.

    Raises:
        InvalidInput: A count below 1.
    """
    _require(count >= 1, "count", count, "must be at least 1", "use 1")
    strategy = STRATEGIES[state.strategy]
    running, proposals = list(pending), []
    for draw in range(state.draws, state.draws + count):
        proposal = strategy.propose(state, running, state.generator(draw))
        state.space.check(proposal.rank_vector)
        running.append(proposal.rank_vector)
        proposals.append(proposal)
    return state.drawn(count), tuple(proposals)


def learn(state: ModelState, observations: Sequence[Observation]) -> ModelState:
    """Return the state that also knows ``observations``, failed trials included.

    Raises:
        InvalidInput: A vector of another number of layers; no state is changed. A vector above the
            budget is welcome: a person may have tried it.
    """
    _check_layers(state, [seen.rank_vector for seen in observations])
    return state.learned(observations)


def inform(state: ModelState, surveyed: Sequence[Surveyed]) -> ModelState:
    """Return the state that also knows scores of a survey; only ``additive`` listens to them.

    Raises:
        InvalidInput: A vector of another number of layers; no state is changed.
    """
    _check_layers(state, [one.rank_vector for one in surveyed])
    return state.informed(surveyed)


def is_heard(state: ModelState) -> bool:
    """Whether the survey that the state knows of says anything of the layers."""
    return state.is_heard


def to_survey(state: ModelState, count: int) -> tuple[RankVector, ...]:
    """The up to ``count`` vectors most worth another look on the survey's adapter, best first.

    None before two trials have a score, of a state without a survey, and of strategies that listen
    to none; never one that the survey has a score of.
    """
    if not state.surveyed or state.strategy is not StrategyName.ADDITIVE:
        return ()
    return Additive().to_survey(state, count)


def digest(state: ModelState) -> bool:
    """Take the next step of what a proposal would derive first; it says the same afterwards.

    Returns:
        Whether there is none left. One step takes as long as one refit of all scores, or of those
        of a survey, and the last one as long as a few of at most ``levelled.ROWS`` more.
    """
    if state.strategy not in (StrategyName.ADDITIVE, StrategyName.BLEND):
        return True
    if not state.digest():
        return False
    (Blend() if state.strategy is StrategyName.BLEND else Additive()).prepare(state)
    return True


def predict(state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the noiseless score of ``vectors``, ``(n,)`` each.

    Before the first score the mean is 0 and the standard deviation infinite.
    """
    return STRATEGIES[state.strategy].predict(state, vectors)


def leaders(state: ModelState, count: int) -> tuple[RankVector, ...]:
    """The up to ``count`` distinct vectors most worth verifying, best first; never none."""
    return STRATEGIES[state.strategy].leaders(state, count)


def economy(state: ModelState) -> RankVector | None:
    """The cheapest vector predicted to match uniform with safety, strictly cheaper than it.

    None when the strategy has no model, or the model knows of no such vector.
    """
    return STRATEGIES[state.strategy].economy(state)


def noise_estimate(state: ModelState) -> NoiseEstimate | None:
    """What one trial's score scatters, with an interval; None before two trials have a score.

    It is what the additive model leaves unexplained, whoever proposes: run-to-run noise and any
    misfit, which a search cannot tell apart either.
    """
    return state.posterior.noise if state.posterior is not None else None


def _check_layers(state: ModelState, vectors: Sequence[RankVector]) -> None:
    layers = len(state.space.layers)
    for vector in vectors:
        _require(
            len(vector) == layers,
            "rank_vector",
            list(vector.ranks),
            f"has {len(vector)} ranks for {layers} layers",
            f"give {layers} ranks, in the order of the study's layers",
        )


def _require(holds: bool, name: str, value: object, problem: str, fix: str) -> None:
    if not holds:
        raise InvalidInput(name, value, problem, fix=fix)
