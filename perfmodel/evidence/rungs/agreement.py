"""How far two rankings of the same vectors agree, and what that is uncertain by.

Of few vectors a bootstrap is blind: where they agree, so do all its draws. There the interval is
the exact one of Mallows' model, in which the chance of a ranking falls by a factor with each pair
that it swaps. Beyond ``MOST_EXACT`` vectors it is a percentile bootstrap over vectors.

Source: Mallows (1957); the number of swapped pairs is a sum of independent truncated geometric
numbers (Fligner & Verducci 1986). The interval inverts its two tails, as Clopper & Pearson (1934).
"""

from itertools import combinations

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.evidence.rank_correlation import kendall
from perfmodel.evidence.rungs.levels import Levels, Scores
from rankspace import RankVector
from rankspace.evaluation.fidelity import LEAST_VECTORS, Agreement, Rung

MOST_EXACT = 30
DRAWS = 500
TAIL = 0.025
STEEPEST = 30.0
"""Logarithm of the factor per swapped pair, beyond which nothing changes any more."""


def rung(name: str, scores: Scores) -> Rung:
    """Describe a rung, and how well it agrees with itself."""
    repeats = [_repeat(scores, one, other) for one, other in combinations(_seeds(scores), 2)]
    told = [(tau, count) for tau, count in repeats if tau is not None]
    if not told:
        return Rung(name, len(scores))
    mean = sum(tau for tau, _ in told) / len(told)
    return Rung(name, len(scores), mean, max(count for _, count in told))


def agreement(lower: str, upper: str, one: Levels, other: Levels) -> Agreement:
    """Compare two rungs on the vectors that both have measured."""
    shared = [vector for vector in one if vector in other]
    count = len(shared)
    if count < LEAST_VECTORS:
        said = f"It cannot be told: {count} vectors on both, and {LEAST_VECTORS} are needed."
        return Agreement(lower, upper, count, None, None, None, said)
    left, right = (_column(found, shared) for found in (one, other))
    if not (np.ptp(left) > 0.0 and np.ptp(right) > 0.0):
        said = f"It cannot be told: one of the two does not tell its {count} vectors apart."
        return Agreement(lower, upper, count, None, None, None, said)
    tau = _tau(left, right)
    low, high = interval(left, right)
    return Agreement(lower, upper, count, tau, low, high, _sentence(tau, low, high))


def interval(left: Floats, right: Floats) -> tuple[float, float]:
    """The 95 % interval of Kendall's tau of two ``(n,)``, neither of them constant."""
    count, tau = len(left), _tau(left, right)
    low, high = (
        exact(count, *_swapped(left, right)) if count <= MOST_EXACT else _bootstrap(left, right)
    )
    return min(low, tau), max(high, tau)


def exact(count: int, least: int, most: int) -> tuple[float, float]:
    """The interval of Mallows' model for tau of ``count`` without ties.

    Pairs tied in either ranking may be in any order: ``most`` counts them as swapped, for the low
    end, and ``least`` leaves them out, for the high end. So with ties it is rather too wide.
    """
    pairs = count * (count - 1) // 2
    low = -1.0 if most >= pairs else _expected(count, _steepness(count, most))
    high = 1.0 if least <= 0 else -_expected(count, _steepness(count, pairs - least))
    return low, high


def _swapped(left: Floats, right: Floats) -> tuple[int, int]:
    """Pairs that the two rank in opposite order, and the same with those tied in either."""
    above = np.triu_indices(len(left), 1)
    signs = np.sign(np.subtract.outer(left, left)) * np.sign(np.subtract.outer(right, right))
    return int((signs[above] < 0.0).sum()), int((signs[above] <= 0.0).sum())


def _steepness(count: int, swapped: int) -> float:
    """At which as few as ``swapped`` pairs have a chance of ``TAIL``."""
    low, high = -STEEPEST, STEEPEST
    for _ in range(60):
        middle = (low + high) / 2.0
        is_rare = _swaps(count, middle)[: swapped + 1].sum() < TAIL
        low, high = (middle, high) if is_rare else (low, middle)
    return high


def _expected(count: int, steepness: float) -> float:
    """Kendall's tau that is expected at a steepness."""
    chances = _swaps(count, steepness)
    mean = float((chances * np.arange(len(chances))).sum())
    return 1.0 - 4.0 * mean / (count * (count - 1))


def _swaps(count: int, steepness: float) -> Floats:
    """Chances of 0, 1, … swapped pairs."""
    chances = np.ones(1)
    for size in range(2, count + 1):
        exponents = -steepness * np.arange(size)
        weights = np.exp(exponents - exponents.max())
        chances = np.convolve(chances, weights / weights.sum())
    return chances


def _bootstrap(left: Floats, right: Floats) -> tuple[float, float]:
    draws, count = np.random.default_rng(0), len(left)
    found = []
    for _ in range(DRAWS):
        at = draws.integers(0, count, count)
        if np.ptp(left[at]) > 0.0 and np.ptp(right[at]) > 0.0:
            found.append(kendall(left[at], right[at]))
    low, high = np.quantile(found, (TAIL, 1.0 - TAIL))
    return float(low), float(high)


def _repeat(scores: Scores, one: int, other: int) -> tuple[float | None, int]:
    """Tau of the scores on two seeds, and on how many vectors; None where it cannot be told."""
    shared = [found for found in scores.values() if one in found and other in found]
    if len(shared) < LEAST_VECTORS:
        return None, len(shared)
    left, right = (np.array([found[seed] for found in shared]) for seed in (one, other))
    if not (np.ptp(left) > 0.0 and np.ptp(right) > 0.0):
        return None, len(shared)
    return _tau(left, right), len(shared)


def _tau(left: Floats, right: Floats) -> float:
    """Within 1, which rounding may leave."""
    return min(max(kendall(left, right), -1.0), 1.0)


MOST_SEEDS = 10
"""Of a rung that are compared two by two, those with most vectors."""


def _seeds(scores: Scores) -> list[int]:
    counts: dict[int, int] = {}
    for found in scores.values():
        for seed in found:
            counts[seed] = counts.get(seed, 0) + 1
    return sorted(counts, key=lambda seed: -counts[seed])[:MOST_SEEDS]


def _column(found: Levels, vectors: list[RankVector]) -> Floats:
    return np.array([found[vector] for vector in vectors])


def _sentence(tau: float, low: float, high: float) -> str:
    if low > 0.0:
        return "They rank alike better than chance does."
    if high < 0.0:
        return "They rank against each other."
    return "That they rank alike better than chance does is not shown."
