"""Agreement: predicted against observed scores, as data for inline SVG."""

from dataclasses import dataclass

from rankspace.calibration import Calibration
from service.web.pages.charts.axis import Axis

WIDTH, HEIGHT = 460.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 12.0, 26.0, 38.0
REACH = 1.2816
"""Half the width of a central 80 % interval, in standard deviations."""

SHOWN = 400
"""Latest results drawn."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A result: where it was predicted and what it was, the interval's ends, and the caption."""

    x: float
    y: float
    left: float
    right: float
    inside: bool
    label: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Attributes: the marks, the diagonal from end to end, and both axes' ticks."""

    marks: tuple[Mark, ...]
    diagonal: tuple[float, float, float, float]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def agreement(found: Calibration) -> Agreement | None:
    """Plot the latest results; None before there are two."""
    points = found.points[-SHOWN:]
    if len(points) < 2:
        return None
    values = [value for point in points for value in (point.mean, point.score)]
    x = Axis.around(values, LEFT, WIDTH - RIGHT)
    y = Axis(x.low, x.high, HEIGHT - BOTTOM, TOP)
    marks = tuple(
        Mark(
            x=x.position(point.mean),
            y=y.position(point.score),
            left=max(x.position(point.mean - REACH * point.std), LEFT),
            right=min(x.position(point.mean + REACH * point.std), WIDTH - RIGHT),
            inside=abs(point.score - point.mean) <= REACH * point.std,
            label=f"trial {point.trial}: predicted {point.mean:.4f}, observed {point.score:.4f}",
        )
        for point in points
    )
    ends = (x.position(x.low), y.position(x.low), x.position(x.high), y.position(x.high))
    return Agreement(marks, ends, x.ticks(), y.ticks())
