"""A comparison as a strip: every paired seed as a dot, the interval, and where zero is."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankspace import Comparison
from service.web.pages.charts.axis import Axis

WIDTH = 460.0
LEFT, RIGHT = 16.0, 16.0
MIDDLE, HEIGHT = 26.0, 72.0
CROWD = 9.0
"""Pixels within which a dot is moved aside, so that seeds that agree are seen as several."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One comparison.

    Attributes:
        name: Of the rival.
        comparison: The numbers.
        dots: Place and caption of each paired seed; none where only the interval is kept.
        low: Left end of the interval.
        high: Right end.
        gain: The mean difference.
        zero: Where there is no difference.
        least: What the left end must exceed to be better; None where that is zero.
        ticks: Of the axis.
    """

    name: str
    comparison: Comparison
    dots: tuple[tuple[float, float, str], ...]
    low: float
    high: float
    gain: float
    zero: float
    least: float | None
    ticks: tuple[tuple[float, str], ...]


def strips(
    found: Sequence[tuple[str, Comparison, Sequence[tuple[int, float]]]],
) -> tuple[Strip, ...]:
    """Draw comparisons on one axis, so that they can be compared.

    Args:
        found: The rival, the comparison, and seed and difference of each pair that is known.
    """
    values = [0.0]
    for _, one, pairs in found:
        values += [one.ci_low, one.ci_high, one.gain, *(difference for _, difference in pairs)]
    axis = Axis.around(values, LEFT, WIDTH - RIGHT)
    return tuple(_strip(axis, *one) for one in found)


def _strip(axis: Axis, name: str, one: Comparison, pairs: Sequence[tuple[int, float]]) -> Strip:
    return Strip(
        name=name,
        comparison=one,
        dots=_dots(axis, pairs),
        low=axis.position(one.ci_low),
        high=axis.position(one.ci_high),
        gain=axis.position(one.gain),
        zero=axis.position(0.0),
        least=axis.position(one.least_gain) if one.least_gain else None,
        ticks=axis.ticks(4),
    )


def _dots(axis: Axis, pairs: Sequence[tuple[int, float]]) -> tuple[tuple[float, float, str], ...]:
    """From left to right, each moved up or down where the one before is near."""
    found, last, beside = [], float("-inf"), 0
    for seed, difference in sorted(pairs, key=lambda pair: pair[1]):
        x = axis.position(difference)
        beside = beside + 1 if x - last < CROWD else 0
        aside = (beside + 1) // 2 * (1 if beside % 2 else -1)
        found.append((x, MIDDLE + 6.0 * max(min(aside, 3), -3), f"seed {seed}: {difference:+.4f}"))
        last = x
    return tuple(found)
