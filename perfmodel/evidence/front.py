"""Front: which vectors no other one beats at the same price, by the model's mean.

Observed scores are not used to choose: the best of many noisy ones is too good to be true. The
vectors compared are the tried ones, of very many the latest and those that scored best, the
same-rank ones, the strategy's leader and economy vector, and the exact optimum of the model's
utilities under each of a row of ceilings. An additive model has them, of others they are read off
the predictions, one layer at a time from the uniform vector; a strategy that predicts nothing of
untried vectors has none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from perfmodel.evidence.front_summary import summary
from perfmodel.evidence.hindsight import hindsight, usual_way
from perfmodel.evidence.verification import Scored
from perfmodel.state import ModelState
from perfmodel.study import economy, leaders, predict
from rankspace import RankVector
from rankspace.calibration import Trust
from rankspace.front import Checked, Finding, Front, FrontPoint, Promise, Spot
from rankspace.study import StrategyName

CEILINGS = 12
"""Ceilings between the cheapest vector and the budget, evenly spaced."""

SHOWN = 2000
"""Tried vectors listed, the latest ones."""

BEST = 2000
"""Of the earlier ones, those compared as well: the ones with the highest scores."""

CELLS = 16_000_000
"""Ranks in all vectors predicted to read utilities off; a model of more has no optima."""

BATCH = 256
"""Vectors predicted at once."""


def front(
    state: ModelState,
    verified: Sequence[Scored] = (),
    checked: Sequence[Checked] = (),
    trust: Trust = Trust.TOO_EARLY,
) -> Front | None:
    """Score against parameters as known now; None before there is a score.

    Args:
        state: Of the search.
        verified: Finished verification trials: the predictions learn from them as well.
        checked: What they say of the promises; what they did not confirm is promised no more.
        trust: Whether the predicted errors may be believed.
    """
    return _made(state, verified, checked, trust) if state.scored else None


def _made(
    state: ModelState, verified: Sequence[Scored], checked: Sequence[Checked], trust: Trust
) -> Front:
    space, scores, now = state.space, _observed(state), hindsight(state, verified)
    same = [rank for rank in space.ranks if space.affords(space.constant(rank))]
    cheap = _cheapest(now, checked)
    uniforms = _points(now, [space.constant(rank) for rank in same], scores)
    tried = _points(now, _compared(scores), scores)
    known = [cheap, *(one.rank_vector for one in checked)]
    offers = [*_optima(now), *leaders(now, 1), *(vector for vector in known if vector is not None)]
    offered = _points(now, offers, scores)
    cheapest = next((point for point in offered if point.rank_vector == cheap), None)
    points = undominated([*tried, *uniforms, *offered])
    said = summary(points[-1], uniforms[-1], cheapest, checked, trust)
    return Front(
        points=points,
        uniform=uniforms[-1],
        uniforms=uniforms,
        cheapest=cheapest,
        verified=None,
        tried=tuple(_spot(point) for point in tried[-SHOWN:]),
        summary=said + _left_out(len(tried), len(scores)),
        checked=tuple(checked),
        trust=trust,
    )


def _cheapest(state: ModelState, checked: Sequence[Checked]) -> RankVector | None:
    """The cheapest vector that is predicted or confirmed to match uniform.

    The model's optimum for less money is worth less by its own account: where one was not
    confirmed, none as cheap is promised.
    """
    broken = max((one.parameters for one in checked if _is_broken(one)), default=-1)
    space = state.space
    uniform = space.parameters(space.uniform())
    found = [one.rank_vector for one in checked if _is_kept(one) and one.parameters < uniform]
    predicted = economy(state)
    if predicted is not None and space.parameters(predicted) > broken:
        found.append(predicted)
    return min(found, key=space.parameters, default=None)


def _is_kept(one: Checked) -> bool:
    """Whichever promise it was: what is better than uniform matches it as well."""
    return one.finding is Finding.CONFIRMED


def _is_broken(one: Checked) -> bool:
    is_open = one.promise is Promise.ENOUGH and one.finding is Finding.OPEN
    return is_open or one.finding is Finding.REFUTED


def undominated(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The points that no other one equals or beats in both price and mean, cheapest first."""
    kept: list[FrontPoint] = []
    for point in sorted(points, key=lambda known: (known.parameters, -known.mean)):
        if not kept or point.mean > kept[-1].mean:
            kept.append(point)
    return tuple(kept)


def _observed(state: ModelState) -> Mapping[RankVector, float]:
    """Mean score on the usual seed and fidelity, by vector, in the order first tried."""
    usual = usual_way(state)
    found: dict[RankVector, list[float]] = {}
    for seen in state.scored:
        if (seen.seed, seen.fidelity) == usual and seen.score is not None:
            found.setdefault(seen.rank_vector, []).append(seen.score)
    return {vector: math.fsum(scores) / len(scores) for vector, scores in found.items()}


def _compared(scores: Mapping[RankVector, float]) -> list[RankVector]:
    """The latest of very many vectors and the best of the earlier ones, in the order tried."""
    vectors = list(scores)
    earlier = vectors[:-SHOWN]
    if len(earlier) <= BEST:
        return vectors
    known = np.fromiter(scores.values(), dtype=np.float64)[: len(earlier)]
    best = np.sort(np.argsort(-known, kind="stable")[:BEST])
    return [*(earlier[at] for at in best), *vectors[-SHOWN:]]


def _points(
    state: ModelState, vectors: Iterable[RankVector], scores: Mapping[RankVector, float]
) -> tuple[FrontPoint, ...]:
    distinct = list(dict.fromkeys(vectors))
    means, stds = _predicted(state, distinct)
    return tuple(
        FrontPoint(vector, state.space.parameters(vector), mean, std, scores.get(vector))
        for vector, mean, std in zip(distinct, means.tolist(), stds.tolist(), strict=True)
    )


def _predicted(state: ModelState, vectors: Sequence[RankVector]) -> tuple[Floats, Floats]:
    parts = [predict(state, vectors[at : at + BATCH]) for at in range(0, len(vectors), BATCH)]
    if not parts:
        return np.zeros(0), np.zeros(0)
    means, stds = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(stds)


def _optima(state: ModelState) -> list[RankVector]:
    """The model's best vector under each ceiling; none where it has no opinion."""
    tables = _utilities(state)
    if np.ptp(tables) == 0.0:
        return []
    space, allocator = state.space, Allocator(state.space)
    room = space.max_parameters - space.parameters(space.cheapest())
    return [allocator.best(tables, spare=room * at // CEILINGS) for at in range(CEILINGS)]


def _utilities(state: ModelState) -> Floats:
    """Predicted gain of each allowed rank on each layer over the uniform vector, ``(layers, R)``.

    Layers that are not free gain nothing.
    """
    if state.strategy is StrategyName.ADDITIVE and state.posterior is not None:
        return state.posterior.mean_tables()
    space, uniform = state.space, state.space.uniform()
    free = space.free_layers
    if len(free) * len(space.ranks) * len(space.layers) > CELLS:
        return np.zeros((len(space.layers), len(space.ranks)))
    changed = [_with(uniform, layer, rank) for layer in free for rank in space.table[layer]]
    means, _ = _predicted(state, [uniform, *changed])
    tables = np.zeros((len(space.layers), len(space.ranks)))
    tables[free] = (means[1:] - means[0]).reshape(len(free), len(space.ranks))
    return tables


def _with(vector: RankVector, layer: int, rank: int) -> RankVector:
    ranks = list(vector.ranks)
    ranks[layer] = rank
    return replace(vector, ranks=tuple(ranks))


def _spot(point: FrontPoint) -> Spot:
    assert point.score is not None
    return Spot(point.parameters, point.mean, point.std, point.score)


def _left_out(compared: int, tried: int) -> str:
    return "" if compared == tried else f" Compared were {compared:,} of {tried:,} tried vectors."
