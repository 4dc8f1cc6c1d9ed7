"""When the verification may look at its interval, and how sure each look must be.

Looking again and again at a 95 % interval finds an effect that is not there far more often than
in 5 % of studies. So the looks are few, fixed before the first, and share the 5 %: each has its
own part, the parts sum to 0.05, and the interval shown is the one of the look that ended the
verification, at 1 minus that look's part. By Bonferroni's inequality all intervals of all looks
cover together with at least 95 %, so the one shown does, whenever we stop and however the looks
are correlated; and ``better`` is false with at most 2.5 %.

Whoever extends a study, or begins another one with its results, has seen its answer and may do so
because of it. So a verification after another rests on fresh seeds alone, whatever the earlier ones
said, and has half the error of the one before: however often a study goes on, all the intervals
together miss with at most 10 %, and ``better`` is false among all the answers with at most 5 %.

Source: Lan & DeMets (1983), alpha spending; the spending is by fixed parts, not by information.
"""

from dataclasses import dataclass

ERROR = 0.05
"""Two-sided error of the whole verification that no other came before."""

PARTS = {1: (1.0,), 2: (0.5, 0.5), 3: (0.4, 0.2, 0.4)}
"""Share of ``ERROR`` each look gets, by number of looks."""


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
    """Plan up to three looks: after ``first`` rounds, after all ``last``, and half way.

    Args:
        first: Rounds before the first look, at least 1.
        last: Rounds the budget pays for; fewer than ``first`` means a single, early look.
        error: Of all of them together.
    """
    at = sorted({min(first, last), (first + last) // 2 if last > first + 2 else last, last})
    parts = PARTS[len(at)]
    return tuple(Look(n, 1.0 - error * part) for n, part in zip(at, parts, strict=True))
