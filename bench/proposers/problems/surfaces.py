"""The family ``surfaces``: truths that are consistent with real fine-tunes.

A recorded surface has too few trials to search on, so each problem is one draw from the posterior
of a Gaussian process on them: Matern-5/2 on the square roots of the ranks, one length scale per
layer, the likeliest under a weak prior. It knows of no additivity, saturation or monotony. Where
the recordings say little, the draws of one surface differ, and an arm has to do well on each. How
much they differ is set by what the process really missed: left-one-out errors on the budget are 2
to 3 times smaller than its own variance says, and draws that vary more would be too rough.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from bench.proposers.problems.noise import Gaussian
from bench.proposers.problems.problem import Problem
from perfmodel.arrays import Flags, Floats, Integers
from rankspace import SearchSpace
from rankspace.wire import decode

DATA = Path(__file__).parents[2] / "surfaces" / "data"
SURFACES = (
    "stories-half-1to3",
    "stories-quarter-all",
    "stories-global-0to3",
    "stdlib-hard-0to3",
    "stdlib-half-late",
    "stdlib-random-0to2",
    "stories-half-1to3-block",
    "stdlib-hard-0to3-block",
    "wide-half-1to2",
    "deep-hard-2to5",
)
"""Complete recordings; new ones go to the end, so that the seeds keep their problems."""

DRAWS = 2
"""Problems per surface: seed ``DRAWS * i + d`` is draw ``d`` of surface ``i``."""

FULL = 0.9
"""Share of the budget from which a vector counts as on it."""

FEATURES = 1000
"""Random Fourier features of a draw from the prior."""

LOG_SCALE_SD = 1.5
"""Of a log length scale around that of the space's diagonal, and of the log amplitude."""


@dataclass(frozen=True)
class Process:
    """A fitted Gaussian process.

    Attributes:
        space: Of the surface.
        seen: Square roots of the recorded ranks, ``(n, layers)``.
        scores: Their scores, seed effects removed, ``(n,)``.
        variances: Noise variance of each, ``(n,)``.
        scales: Length scale per layer, ``(layers,)``.
        amplitude: Standard deviation of the prior.
        noise: Standard deviation of one trial.
        trust: Factor of a draw's deviation from the mean, at most 1.
    """

    space: SearchSpace
    seen: Floats
    scores: Floats
    variances: Floats
    scales: Floats
    amplitude: float
    noise: float
    trust: float

    def draw(self, seed: int) -> "Emulated":
        """Draw one truth from the posterior (Wilson et al. 2020, pathwise conditioning)."""
        rng = np.random.default_rng([9, seed])
        count = len(self.scales)
        mix = np.sqrt(5.0 / rng.chisquare(5.0, FEATURES))  # Matern-5/2: Student's t of 5
        waves = rng.standard_normal((count, FEATURES)) * mix / self.scales[:, None]
        phases = rng.uniform(0.0, 2.0 * np.pi, FEATURES)
        weights = rng.standard_normal(FEATURES) * self.amplitude * np.sqrt(2.0 / FEATURES)
        weights *= self.trust
        prior = np.cos(self.seen @ waves + phases) @ weights
        rest = self.scores - self.scores.mean() - prior
        rest -= self.trust * np.sqrt(self.variances) * rng.standard_normal(len(rest))
        covariance = _matern(self.seen, self.seen, self.scales, self.amplitude)
        pull = cho_solve(cho_factor(covariance + np.diag(self.variances)), rest)
        return Emulated(self, waves, phases, weights, pull)


@dataclass(frozen=True)
class Emulated:
    """One draw from a process: a prior draw, pulled towards what was recorded.

    Attributes:
        process: Whose posterior it is of.
        waves: Frequencies of the prior draw, ``(layers, FEATURES)``.
        phases: ``(FEATURES,)``.
        weights: ``(FEATURES,)``.
        pull: Weights of the recorded vectors, ``(n,)``.
    """

    process: Process
    waves: Floats
    phases: Floats
    weights: Floats
    pull: Floats

    @property
    def tables(self) -> None:
        return None

    def scores(self, levels: Integers) -> Floats:
        process = self.process
        at = np.sqrt(np.array(process.space.ranks, dtype=np.float64))[levels]
        kernel = _matern(at, process.seen, process.scales, process.amplitude)
        prior = np.cos(at @ self.waves + self.phases) @ self.weights
        found: Floats = process.scores.mean() + prior + kernel @ self.pull
        return found


def surfaces(layers: int, seed: int) -> Problem:
    """Draw ``seed % DRAWS`` of surface ``seed // DRAWS``, which says itself how many layers."""
    return problem_of(SURFACES[seed // DRAWS % len(SURFACES)], seed)


def problem_of(surface: str, seed: int) -> Problem:
    """Draw a truth of ``surface``, which need not be one of ``SURFACES``."""
    process = fitted(surface)
    return Problem(process.space, process.draw(seed), Gaussian(seed, process.noise))


@cache
def fitted(name: str) -> Process:
    """Fit the recorded surface ``name``; length scales are rounded, to be equal everywhere."""
    head, *rows = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]
    space = decode(SearchSpace, head["space"])
    vectors, scores, counts, noise = _compared(rows)
    seen = np.sqrt(vectors.astype(np.float64))
    variances = noise**2 / counts
    middle = 0.5 * np.log(space.ranks[-1] * len(space.layers))  # the diagonal of the space
    first = np.append(np.full(seen.shape[1], middle), np.log(scores.std()))
    found = minimize(
        _loss, first, (seen, scores - scores.mean(), variances, first), "L-BFGS-B", jac=True
    )
    logs = np.round(found.x, 2)
    scales, amplitude = np.exp(logs[:-1]), float(np.exp(logs[-1]))
    covariance = _matern(seen, seen, scales, amplitude) + np.diag(variances)
    spent = vectors @ np.array(space.costs) / space.max_parameters
    trust = _trust(covariance, variances, scores, (spent > FULL) & (spent <= 1.0))
    return Process(space, seen, scores, variances, scales, amplitude, noise, trust)


def _trust(covariance: Floats, variances: Floats, scores: Floats, kept: Flags) -> float:
    """What was missed without each of the ``kept`` scores, over what the process expected to."""
    inverse = np.linalg.inv(covariance)
    expected = 1.0 / np.diag(inverse)
    missed = (inverse @ (scores - scores.mean()) * expected) ** 2
    real, claimed = (missed - variances)[kept].mean(), (expected - variances)[kept].mean()
    return round(float(np.sqrt(np.clip(real / claimed, 0.0, 1.0))), 2)


def _compared(rows: list[dict[str, Any]]) -> tuple[Integers, Floats, Floats, float]:
    """Vectors ``(n, layers)``, scores without the seeds' effects, trials of each, and the noise.

    The noise is the residual of vectors by seeds, of the vectors tried on every seed: trials of
    one study share their seed, so what a seed does to all vectors alike is no noise between them.
    """
    table: dict[tuple[int, ...], dict[int, float]] = {}
    for row in rows:
        table.setdefault(tuple(row["ranks"]), {})[row["seed"]] = -row["loss"]
    seeds = sorted({seed for found in table.values() for seed in found})
    crossed = np.array(
        [[found[s] for s in seeds] for found in table.values() if len(found) == len(seeds)]
    )
    effects = crossed.mean(axis=0) - crossed.mean()
    rest = crossed - crossed.mean(axis=1, keepdims=True) - effects
    freedom = (crossed.shape[0] - 1) * (crossed.shape[1] - 1)
    noise = float(np.sqrt((rest**2).sum() / freedom))
    shift = dict(zip(seeds, effects.tolist(), strict=True))
    scores = [np.mean([y - shift[seed] for seed, y in found.items()]) for found in table.values()]
    counts = [len(found) for found in table.values()]
    return np.array(list(table)), np.array(scores), np.array(counts, dtype=np.float64), noise


def _matern(left: Floats, right: Floats, scales: Floats, amplitude: float) -> Floats:
    a, b = left / scales, right / scales
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T
    distance = np.sqrt(5.0 * np.maximum(squares, 0.0))
    found: Floats = amplitude**2 * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return found


def _loss(
    logs: Floats, seen: Floats, scores: Floats, variances: Floats, centre: Floats
) -> tuple[float, Floats]:
    """Minus the log posterior of the log scales and the log amplitude, and its gradient."""
    scales, amplitude = np.exp(logs[:-1]), float(np.exp(logs[-1]))
    kernel = _matern(seen, seen, scales, amplitude)
    factor = cho_factor(kernel + np.diag(variances), lower=True)
    weights = cho_solve(factor, scores)
    inner = np.outer(weights, weights) - cho_solve(factor, np.eye(len(scores)))
    squares = ((seen[:, None, :] - seen[None, :, :]) / scales) ** 2
    distance = np.sqrt(5.0 * squares.sum(axis=2))
    slope = amplitude**2 * (5.0 / 3.0) * (1.0 + distance) * np.exp(-distance)
    gradient = np.append(
        np.einsum("ij,ijk->k", inner * slope, squares), 2.0 * (inner * kernel).sum()
    )
    away = (logs - centre) / LOG_SCALE_SD
    loss = 0.5 * scores @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * away @ away
    return float(loss), -0.5 * gradient + away / LOG_SCALE_SD
