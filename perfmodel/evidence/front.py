"""Front: which vectors no other one beats at the same price, by the model's mean.

Observed scores are not used to choose: the best of many noisy ones is too good to be true. The
vectors compared are the tried ones, of very many the latest and those that scored best, the
same-rank ones, the strategy's leader and economy vector, and the exact optimum of the model's
utilities under each of a row of ceilings. An additive model has them, of others they are read off
the predictions, one layer at a time from the uniform vector; a strategy that predicts nothing of
untried vectors has none.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from perfmodel.state import ModelState
from perfmodel.strategies.memory import remembered
from perfmodel.study import economy, leaders, predict
from rankspace import RankVector
from rankspace.front import Front, FrontPoint, Spot
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


def front(state: ModelState) -> Front | None:
    """Score against parameters as known now; None before there is a score.

    Made once for the same observations, and forgotten when there are more.
    """
    return remembered(state, "front", lambda: _made(state)) if state.scored else None


def _made(state: ModelState) -> Front:
    space, scores = state.space, _observed(state)
    same = [rank for rank in space.ranks if space.affords(space.constant(rank))]
    cheap = economy(state)
    uniforms = _points(state, [space.constant(rank) for rank in same], scores)
    tried = _points(state, _compared(scores), scores)
    offers = [*_optima(state), *leaders(state, 1), *([cheap] if cheap else [])]
    offered = _points(state, offers, scores)
    cheapest = next((point for point in offered if point.rank_vector == cheap), None)
    points = undominated([*tried, *uniforms, *offered])
    return Front(
        points=points,
        uniform=uniforms[-1],
        uniforms=uniforms,
        cheapest=cheapest,
        verified=None,
        tried=tuple(_spot(point) for point in tried[-SHOWN:]),
        summary=_summary(points, uniforms[-1], cheapest) + _left_out(len(tried), len(scores)),
    )


def undominated(points: Iterable[FrontPoint]) -> tuple[FrontPoint, ...]:
    """The points that no other one equals or beats in both price and mean, cheapest first."""
    kept: list[FrontPoint] = []
    for point in sorted(points, key=lambda known: (known.parameters, -known.mean)):
        if not kept or point.mean > kept[-1].mean:
            kept.append(point)
    return tuple(kept)


def _observed(state: ModelState) -> Mapping[RankVector, float]:
    """Mean score on the usual seed and fidelity, by vector, in the order first tried."""
    ways = Counter((seen.seed, seen.fidelity) for seen in state.scored)
    usual = max(sorted(ways), key=lambda way: ways[way])
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
    changed = [_with(uniform, layer, rank) for layer in free for rank in space.ranks]
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


def _summary(points: Sequence[FrontPoint], uniform: FrontPoint, cheapest: FrontPoint | None) -> str:
    best = points[-1]
    gain, error = best.mean - uniform.mean, float(np.hypot(best.std, uniform.std))
    if gain <= error:
        said = "No vector is predicted to beat uniform ranks by more than the prediction's error."
    else:
        said = (
            f"The best known vector, {best.parameters:,} parameters, is predicted {gain:.4f} "
            f"above uniform ranks, give or take {error:.4f}."
        )
    if cheapest is None:
        return f"{said} No cheaper vector is safely predicted to match them."
    saved = 1.0 - cheapest.parameters / uniform.parameters
    return (
        f"{said} {cheapest.parameters:,} parameters are predicted to be enough to match them: "
        f"{100 * saved:.0f} % fewer than their {uniform.parameters:,}."
    )
