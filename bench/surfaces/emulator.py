"""An emulator of a recorded surface: a noiseless score for every vector on its budget.

A Gaussian process over the recorded vectors on the budget. Its kernel is a Brownian motion along
the square root of each layer's rank, with a variance of its own for every layer, plus a smooth
part that all layers share, in which they interact. Nothing in it is concave, saturating or
monotone, and nothing comes from the models that are judged on it. The variances are the likeliest
ones under a weak prior (analytic gradient); the noise is that of the recorded repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from perfmodel import allocate, random_vectors
from perfmodel.arrays import Floats
from perfmodel.meta.curve import is_on_budget
from perfmodel.meta.finished import FinishedStudy
from perfmodel.meta.repeats import repeat_noise
from rankspace import RankVector, SearchSpace
from rankspace.cached import cached_property

LOG_VARIANCE_SD = 1.5
"""Of a layer's log variance around the common one, before the scores say otherwise."""

STARTS = 6
"""Random vectors from which the optimum is sought, beside the additive one."""


@dataclass(frozen=True)
class Emulator:
    """A fitted surface.

    Attributes:
        space: Of its vectors.
        seen: Square roots of the recorded free ranks, ``(n, f)``.
        variances: Of each free layer's Brownian motion, ``(f,)``.
        shared: Variance of the interacting part.
        reach: Its length scale, squared.
        weights: Of the recorded vectors in a prediction, ``(n,)``.
        mean: Score that predictions start from.
        noise: Standard deviation of a trial's noise, in nats.
    """

    space: SearchSpace
    seen: Floats
    variances: Floats
    shared: float
    reach: float
    weights: Floats
    mean: float
    noise: float

    def values(self, vectors: Sequence[RankVector]) -> Floats:
        """Noiseless scores, ``(n,)``; vectors off the budget are extrapolated."""
        new = _roots(self.space, vectors)
        kernel = sum(v * _brownian(new, self.seen, i) for i, v in enumerate(self.variances))
        kernel = kernel + self.shared * np.exp(-_distances(new, self.seen) / (2.0 * self.reach))
        return np.asarray(self.mean + kernel @ self.weights)

    @cached_property
    def uniform(self) -> float:
        return float(self.values([self.space.uniform()])[0])

    @cached_property
    def optimum(self) -> float:
        """The best value that swaps lead to from the additive part's optimum and random starts."""
        starts = [self._additive_optimum(), *random_vectors(self.space, STARTS, 0)]
        return max(self._climb(start) for start in starts)

    def _additive_optimum(self) -> RankVector:
        ranks = np.sqrt(np.array(self.space.ranks, dtype=np.float64))
        tables = np.zeros((len(self.space.layers), len(ranks)))
        for row, layer in enumerate(self.space.free_layers):
            rise = np.minimum(ranks[:, None], self.seen[None, :, row]) @ self.weights
            tables[layer] = self.variances[row] * rise
        return allocate(self.space, tables)

    def _climb(self, vector: RankVector) -> float:
        best = float(self.values([vector])[0])
        while True:
            near = _neighbours(self.space, vector)
            values = self.values(near)
            if not near or values.max() <= best + 1e-9:
                return best
            vector, best = near[int(values.argmax())], float(values.max())


def emulate(study: FinishedStudy) -> Emulator | None:
    """Fit the surface of a recorded study; None while it has too few repeats for its noise."""
    scored = [seen for seen in study.observations if is_on_budget(study.space, seen.rank_vector)]
    noise = repeat_noise(scored, 1.0)
    if noise is None:
        return None
    vectors, scores = _paired(study, noise)
    return fit(study.space, vectors, scores, noise)


def fit(
    space: SearchSpace, vectors: Sequence[RankVector], scores: Floats, noise: float
) -> Emulator:
    """Find the likeliest variances and condition on ``scores`` ``(n,)``."""
    seen = _roots(space, vectors)
    mean, unit = float(scores.mean()), float(scores.std())
    target = (scores - mean) / unit
    distances = _distances(seen, seen)
    reach = float(np.median(distances[distances > 0.0]))
    parts = np.array(
        [
            *(_brownian(seen, seen, i) for i in range(seen.shape[1])),
            np.exp(-distances / (2.0 * reach)),
        ]
    )
    floor = (noise / unit) ** 2 * np.eye(len(target)) + 100.0
    start = np.log(np.append(0.3 / (seen.shape[1] * max(seen.mean(), 0.1)), 0.1))
    first = np.append(np.full(seen.shape[1], start[0]), start[1])
    found = minimize(_loss, first, (parts, floor, target), "L-BFGS-B", jac=True)
    scales = np.exp(found.x)
    kernel = np.tensordot(scales, parts, 1) + floor
    weights = unit * cho_solve(cho_factor(kernel), target)
    level = mean + 100.0 * float(weights.sum())
    return Emulator(space, seen, scales[:-1], float(scales[-1]), reach, weights, level, noise)


def _loss(logs: Floats, parts: Floats, floor: Floats, target: Floats) -> tuple[float, Floats]:
    """Minus the log likelihood and the log prior of log variances, and the gradient."""
    kernel = np.tensordot(np.exp(logs), parts, 1) + floor
    factor = cho_factor(kernel)
    alpha = cho_solve(factor, target)
    inverse = cho_solve(factor, np.eye(len(target)))
    centre = logs[:-1].mean()
    rest = np.append(logs[:-1] - centre, 0.0) / LOG_VARIANCE_SD**2
    loss = 0.5 * target @ alpha + np.log(np.diag(factor[0])).sum()
    loss += 0.5 * float(((logs[:-1] - centre) ** 2).sum()) / LOG_VARIANCE_SD**2
    inner = np.einsum("kij,ij->k", parts, inverse - np.outer(alpha, alpha))
    return float(loss), 0.5 * np.exp(logs) * inner + rest


def _paired(study: FinishedStudy, noise: float) -> tuple[list[RankVector], Floats]:
    """Mean score per vector on the budget, each seed shifted to where the common vectors agree."""
    found: dict[RankVector, dict[int, float]] = {}
    for seen in study.observations:
        if seen.score is not None and is_on_budget(study.space, seen.rank_vector):
            found.setdefault(seen.rank_vector, {})[seen.seed] = seen.score
    seeds = sorted({seed for scores in found.values() for seed in scores})
    common = [scores for scores in found.values() if len(scores) == len(seeds)]
    shift = {s: float(np.mean([scores[s] - scores[seeds[0]] for scores in common])) for s in seeds}
    means = [np.mean([v - shift[s] for s, v in scores.items()]) for scores in found.values()]
    return list(found), np.array(means, dtype=np.float64)


def _roots(space: SearchSpace, vectors: Sequence[RankVector]) -> Floats:
    ranks = np.array([vector.ranks for vector in vectors], dtype=np.float64)
    return np.asarray(np.sqrt(ranks[:, space.free_layers]))


def _brownian(one: Floats, other: Floats, layer: int) -> Floats:
    return np.minimum(one[:, layer, None], other[None, :, layer])


def _distances(one: Floats, other: Floats) -> Floats:
    square = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    return np.asarray(np.maximum(square - 2.0 * one @ other.T, 0.0))


def _neighbours(space: SearchSpace, vector: RankVector) -> list[RankVector]:
    """Vectors with one layer a step up and another a step down or not, within the budget."""
    free = space.free_layers
    ups = [(layer, new) for layer in free if (new := _step(space, vector, layer, 1)) is not None]
    downs = [(layer, new) for layer in free if (new := _step(space, vector, layer, -1)) is not None]
    moves = [(up,) for up in ups] + [(up, down) for up in ups for down in downs if up[0] != down[0]]
    changed = (_changed(vector, move) for move in moves)
    return [one for one in changed if space.affords(one)]


def _step(space: SearchSpace, vector: RankVector, layer: int, by: int) -> int | None:
    at = space.ranks.index(vector.ranks[layer]) + by
    return space.ranks[at] if 0 <= at < len(space.ranks) else None


def _changed(vector: RankVector, move: Sequence[tuple[int, int]]) -> RankVector:
    ranks = list(vector.ranks)
    for layer, rank in move:
        ranks[layer] = rank
    return RankVector(tuple(ranks))
