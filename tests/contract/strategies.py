"""What the contract runs each strategy on, and how."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

import perfmodel
from perfmodel import ModelState, learn, propose
from rankspace import Context, LayerProfile, Observation, Proposal, RankVector, SearchSpace
from rankspace.study import StrategyName
from tests.contract.spaces import SPACES, TINY, nameless

ONE_SHOT = {
    StrategyName.RECONSTRUCTION_ERROR,
    StrategyName.LINEAR_DEPTH,
    StrategyName.IMPORTANCE,
}
"""They know one vector before any trial, and search for no other."""

REPEATING = {StrategyName.UNIFORM, *ONE_SHOT}
"""Seeds change nothing for them, and they offer a vector again."""

SLOW = {StrategyName.XGBOOST, StrategyName.RANKADAPTOR, StrategyName.TPE, StrategyName.GP_OPTUNA}
"""Tens of milliseconds and more per proposal: held to the contract on fewer and smaller spaces."""

TELLING = ("fixed layers", "full matrices", "all fixed", "one layer", "one rank")
"""Spaces that the slow ones and `make check` make do with."""

HAS_TORCH = find_spec("torch") is not None

NEEDS_TORCH = pytest.mark.skipif(not HAS_TORCH, reason="gp-optuna needs torch")
MARKS = {StrategyName.GP_OPTUNA: [NEEDS_TORCH, pytest.mark.slow]}

RUNNABLE = [
    name for name in StrategyName if name not in REPEATING and (HAS_TORCH or name not in MARKS)
]
"""Those that search and whose library is there."""


def _marks(strategy: StrategyName, *, is_slow: bool = False) -> list[pytest.MarkDecorator]:
    return [*MARKS.get(strategy, []), *([pytest.mark.slow] if is_slow else [])]


def some(*left_out: StrategyName) -> pytest.MarkDecorator:
    """Run on every strategy but those left out."""
    chosen = [
        pytest.param(strategy, id=strategy.value, marks=_marks(strategy))
        for strategy in StrategyName
        if strategy not in left_out
    ]
    return pytest.mark.parametrize("strategy", chosen)


def on_spaces() -> pytest.MarkDecorator:
    """Run on every strategy, and on spaces of every shape."""
    pairs = [
        pytest.param(
            strategy,
            shape,
            id=f"{strategy}-{shape}",
            marks=_marks(strategy, is_slow=shape not in TELLING),
        )
        for strategy in StrategyName
        for shape in SPACES
        if strategy not in SLOW or shape in TELLING
    ]
    return pytest.mark.parametrize(("strategy", "shape"), pairs)


every = some()
searching = some(*REPEATING)
on_every_space = on_spaces()


def home(strategy: str) -> SearchSpace:
    """A space with room for a search."""
    small = strategy == StrategyName.GP_OPTUNA
    return nameless(4, (0, 1, 2, 4), 30) if small else SPACES["blocks and kinds"]()


def start(space: SearchSpace, **settings: object) -> ModelState:
    """Start with a profile of every layer, which some strategies need."""
    profiles = tuple(
        LayerProfile(layer.name, 0.5, 1.0, 1.0, 1.0, 0.1 + at % 3, 0.5, 0.02 * (1 + at % 4))
        for at, layer in enumerate(space.layers)
    )
    context = Context(profiles=profiles)
    return perfmodel.start(space, context=context, **settings)  # type: ignore[arg-type]


def worth(vector: RankVector) -> float:
    """A saturating score with different layers."""
    each = np.random.default_rng(5).exponential(1.0, len(vector))
    ranks = np.array(vector.ranks)
    return float((each * ranks / (ranks + 1.5)).sum())


def score(vector: RankVector) -> float | None:
    """The same, but every seventh vector or so fails."""
    total = worth(vector)
    return None if int(1000 * total) % 7 == 3 else total


def run(state: ModelState, trials: int) -> tuple[ModelState, list[RankVector]]:
    vectors = []
    for _ in range(trials):
        state, (proposal,) = propose(state)
        vectors.append(proposal.rank_vector)
        state = learn(state, [Observation(proposal.rank_vector, score(proposal.rank_vector))])
    return state, vectors


@cache
def searched(strategy: StrategyName, shape: str) -> tuple[SearchSpace, ModelState, list[Proposal]]:
    """The end of a search, two trials at a time, and its proposals: the same for every test."""
    space, made = SPACES[shape](), list[Proposal]()
    state = start(space, strategy=strategy, trials=12)
    for _ in range(6):
        state, pair = propose(state, count=2)
        made.extend(pair)
        state = learn(state, [Observation(p.rank_vector, score(p.rank_vector)) for p in pair])
    return space, state, made


@cache
def trunk(strategy: StrategyName) -> tuple[ModelState, list[RankVector]]:
    """Twelve trials of a search at home, one at a time: the same for every test."""
    return run(start(home(strategy), strategy=strategy, seed=3, trials=30), 12)


def explored(strategy: StrategyName) -> tuple[Observation, ...]:
    """What twelve trials of the default strategy found at home, which most have in common."""
    return _explored(strategy if strategy == StrategyName.GP_OPTUNA else StrategyName.ADDITIVE)


@cache
def _explored(strategy: StrategyName) -> tuple[Observation, ...]:
    return run(start(home(strategy), trials=40), 12)[0].observations


TINY_PAIRS = [
    pytest.param(
        strategy,
        tiny,
        id=f"{strategy}-{tiny}",
        marks=_marks(strategy, is_slow=tiny.endswith("budget")),
    )
    for strategy in StrategyName
    for tiny in TINY
    if strategy not in REPEATING and (strategy not in SLOW or not tiny.endswith("budget"))
]
"""Two of the spaces have more than forty vectors, which the slow ones would all have pending."""
