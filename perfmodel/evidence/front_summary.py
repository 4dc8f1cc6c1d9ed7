"""A front in plain words: what is predicted, and what became of the promises.

A prediction is "to be verified" until it was. How far it may be off is only said while the
predicted intervals hold.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from rankspace import RankVector
from rankspace.calibration import Trust
from rankspace.front import Checked, Finding, FrontPoint

HEADS: Mapping[Finding, str] = MappingProxyType(
    {
        Finding.CONFIRMED: "Verified",
        Finding.OPEN: "Not confirmed",
        Finding.REFUTED: "Refuted",
    }
)


UNTIL: Mapping[Finding | None, str] = MappingProxyType(
    {
        None: "to be verified",
        Finding.CONFIRMED: "as verified",
        Finding.OPEN: "see below",
        Finding.REFUTED: "see below",
    }
)
"""How far what is said of a vector has come; None where the verification found nothing of it."""


def summary(
    best: FrontPoint,
    uniform: FrontPoint,
    cheapest: FrontPoint | None,
    checked: Sequence[Checked],
    trust: Trust,
) -> str:
    """Tell of the best predicted vector, the cheapest to match uniform, and the checked ones."""
    found = {one.rank_vector: one.finding for one in checked}
    said = [
        _best(best, uniform, found, trust),
        _cheapest(cheapest, uniform, found),
        *_warning(trust),
        *(_checked(one) for one in checked),
    ]
    return " ".join(said)


def _best(
    best: FrontPoint, uniform: FrontPoint, found: Mapping[RankVector, Finding], trust: Trust
) -> str:
    vector, finding = f"The best known vector, {best.parameters:,} parameters,", _of(best, found)
    if finding is Finding.CONFIRMED:
        return f"{vector} has been verified."
    if finding is not None:
        return f"{vector} was {finding}: see below."
    gain, error = best.mean - uniform.mean, float(np.hypot(best.std, uniform.std))
    if gain <= error:
        return _no_better(trust)
    off = "" if trust is Trust.NARROW else f", give or take {error:.4f}"
    return f"{vector} is predicted {gain:.4f} above uniform ranks{off}, {UNTIL[finding]}."


def _of(point: FrontPoint, found: Mapping[RankVector, Finding]) -> Finding | None:
    return found.get(point.rank_vector)


def _no_better(trust: Trust) -> str:
    if trust is Trust.NARROW:  # the error is not known
        return "No vector is safely predicted to beat uniform ranks."
    return "No vector is predicted to beat uniform ranks by more than the prediction's error."


def _cheapest(
    cheapest: FrontPoint | None, uniform: FrontPoint, found: Mapping[RankVector, Finding]
) -> str:
    if cheapest is None:
        return "No cheaper vector is safely predicted to match them."
    finding = _of(cheapest, found)
    are = "are" if finding is Finding.CONFIRMED else "are predicted to be"
    saved = 1.0 - cheapest.parameters / uniform.parameters
    return (
        f"{cheapest.parameters:,} parameters {are} enough to match them, {UNTIL[finding]}: "
        f"{100 * saved:.0f} % fewer than their {uniform.parameters:,}."
    )


def _warning(trust: Trust) -> tuple[str, ...]:
    if trust is not Trust.NARROW:
        return ()
    return ("How far predictions may be off is not known: their intervals are too narrow.",)


def _checked(one: Checked) -> str:
    versus = one.comparison
    return (
        f"{HEADS[one.finding]}: that the vector of {one.parameters:,} parameters is "
        f"{one.promise}; on {versus.seeds} fresh seeds it scored {versus.gain:+.4f} against them, "
        f"95 % interval {versus.ci_low:+.4f} to {versus.ci_high:+.4f}."
    )
