"""When the verification may look at its interval, and how sure each look must be.

Looking again and again at a 95 % interval finds an effect that is not there far more often than
in 5 % of studies. So the looks are few, fixed before the first, and share the 5 %: at each one a
given part of it is spent. What a look adds to those before it depends on how much they have seen in
common, so the boundaries follow from the joint distribution of Student's t at all of them: under
any true gain, the intervals of all looks cover together with 95 %. So the one that ended the
verification does with at least that, and ``better`` is false with at most 2.5 %.

Whoever extends a study, or begins another one with its results, has seen its answer and may do so
because of it. So a verification after another rests on fresh seeds alone, whatever the earlier ones
said, and has half the error of the one before: however often a study goes on, all the intervals
together miss with at most 10 %, and ``better`` is false among all the answers with at most 5 %.

All of that is of one line. The whole recipe, where it is judged, is a second line beside that of
the trials and spends as much once more: ``better`` is false on either with at most 10 %. What is
exported may follow the recipe's line alone.

Source: Lan & DeMets (1983), alpha spending, by fixed parts; repeated confidence intervals, Jennison
& Turnbull (1989); the joint distribution by quasi-Monte Carlo, Roberts (2018), the R sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from perfmodel.arrays import Flags, Floats
from rankspace.study import look_rounds

ERROR = 0.05
"""Two-sided error of the whole verification that no other came before."""

PARTS = {1: (1.0,), 2: (0.3, 0.7), 3: (0.2, 0.3, 0.5)}
"""Share of ``ERROR`` each look spends, by number of looks."""

POINTS = 1 << 15
"""Simulated verifications that the boundaries are read off; twice as many move them by 0.2 %."""

LEAST_READ = ERROR / 2**3
"""Error below which too few of the points lie beyond a boundary to read it off: each look then has
its part of the error to itself (Bonferroni), which is a little wide and never too narrow."""


@dataclass(frozen=True)
class Look:
    """One planned look.

    Attributes:
        rounds: Paired rounds finished by then, choosing rounds excluded.
        confidence: Coverage of the interval taken there.
    """

    rounds: int
    confidence: float


def error_after(looks: int) -> float:
    """Two-sided error of the verification after so many others."""
    return float(ERROR / 2**looks)


def plan_looks(first: int, last: int, error: float = ERROR) -> tuple[Look, ...]:
    """Plan up to three looks: see ``rankspace.study.look_rounds``.

    Args:
        first: Rounds before the first look, at least 1.
        last: Rounds the budget pays for.
        error: Of all of them together.
    """
    return looks_at(look_rounds(first, last), error)


@cache
def looks_at(rounds: tuple[int, ...], error: float = ERROR) -> tuple[Look, ...]:
    """Say how sure the looks after so many ``rounds``, increasing, must be."""
    spent = [error * part for part in PARTS[len(rounds)]]
    sure = [1.0 - spent[0]]
    if error < LEAST_READ:
        sure += [1.0 - part for part in spent[1:]]
    elif len(rounds) > 1:
        sure += _later(rounds, spent)
    return tuple(Look(*one) for one in zip(rounds, sure, strict=True))


def _later(rounds: Sequence[int], spent: Sequence[float]) -> list[float]:
    """Coverage of the intervals of the looks after the first."""
    found, tails = list[float](), _statistics(rounds)
    going = tails[0] <= special.stdtrit(rounds[0] - 1, 1.0 - spent[0] / 2.0)
    for count, tail, part in zip(rounds[1:], tails[1:], spent[1:], strict=True):
        bound = _exceeded_by(tail, going, part)
        going &= tail <= bound
        found.append(1.0 - 2.0 * float(special.stdtr(count - 1, -bound)))
    return found


def _exceeded_by(tail: Floats, going: Flags, share: float) -> float:
    """What ``share`` of all verifications exceed, and are still going by then."""
    ordered = np.sort(tail[going])[::-1]
    return float(ordered[round(share * len(tail))])


def _statistics(rounds: Sequence[int]) -> list[Floats]:
    """Absolute value of Student's t after each of ``rounds``, without an effect, ``(POINTS,)``.

    What a look adds to the mean and to the sum of squares is independent of all before it.
    """
    drawn = _lattice(2 * len(rounds))
    count, mean, squares = 0, np.zeros(POINTS), np.zeros(POINTS)
    found = []
    for at, total in enumerate(rounds):
        more = total - count
        news = special.ndtri(drawn[:, 2 * at]) / more**0.5
        within = _chi_square(more - 1, drawn[:, 2 * at + 1]) if more > 1 else 0.0
        squares = squares + within + count * more / total * (mean - news) ** 2
        mean, count = (count * mean + more * news) / total, total
        found.append(np.abs(mean) * np.sqrt(total * (total - 1) / squares))
    return found


def _chi_square(freedom: int, shares: Floats) -> Floats:
    """Quantiles, ``(n,)``, read off a fine table: inverting each takes a hundred times as long."""
    most = (freedom + 12.0 * (2.0 * freedom) ** 0.5 + 30.0) ** 0.5
    roots = np.linspace(0.0, most, 8192)
    return np.asarray(np.interp(shares, special.chdtr(freedom, roots**2), roots) ** 2)


def _lattice(dimensions: int) -> Floats:
    """Points that fill the unit cube evenly, ``(POINTS, dimensions)``."""
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    return np.asarray((0.5 + np.arange(1.0, POINTS + 1.0)[:, None] * steps) % 1.0)
