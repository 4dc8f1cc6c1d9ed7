"""Price: predicted score over trainable parameters, as data for inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankspace.calibration import Trust
from rankspace.front import Front, FrontPoint
from service.web.pages.charts.axis import Axis

WIDTH, HEIGHT = 980.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 26.0, 38.0
TRIED = 600
"""Latest tried vectors drawn."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A vector in the picture, its error bar's ends, and its caption."""

    x: float
    y: float
    top: float
    bottom: float
    label: str


@dataclass(frozen=True, slots=True)
class Price:
    """Attributes: see ``rankspace.Front``; lines are points of a polyline."""

    front: tuple[Dot, ...]
    line: str
    uniforms: tuple[Dot, ...]
    uniform_line: str
    uniform: Dot
    cheapest: Dot | None
    tried: tuple[tuple[float, float], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def price(found: Front | None) -> Price | None:
    """Plot the front, uniform ranks and what was tried; None where only uniform is known."""
    if found is None or len(found.points) < 2:
        return None
    means = [point.mean for point in (*found.points, *found.uniforms)]
    costs = [point.parameters for point in (*found.points, *found.uniforms)]
    x = Axis.around([*costs, *(dot.parameters for dot in found.tried)], LEFT, WIDTH - RIGHT)
    y = Axis.around([*means, *(dot.mean for dot in found.tried)], HEIGHT - BOTTOM, TOP)

    def dots(points: Sequence[FrontPoint]) -> tuple[Dot, ...]:
        return tuple(_dot(point, x, y, found.trust) for point in points)

    front, uniforms = dots(found.points), dots(found.uniforms)
    return Price(
        front=front,
        line=_line(front),
        uniforms=uniforms,
        uniform_line=_line(uniforms),
        uniform=dots([found.uniform])[0],
        cheapest=dots([found.cheapest])[0] if found.cheapest else None,
        tried=tuple(
            (x.position(dot.parameters), y.position(dot.mean)) for dot in found.tried[-TRIED:]
        ),
        across=x.ticks(6),
        up=y.ticks(),
    )


def _dot(point: FrontPoint, x: Axis, y: Axis, trust: Trust) -> Dot:
    """Without its error where that is known to be more than predicted."""
    std = 0.0 if trust is Trust.NARROW else point.std
    return Dot(
        x=x.position(point.parameters),
        y=y.position(point.mean),
        top=max(y.position(point.mean + std), TOP),
        bottom=min(y.position(point.mean - std), HEIGHT - BOTTOM),
        label=f"{point.parameters:,} parameters: predicted {point.mean:.4f}"
        + (f" ± {std:.4f}" if std else ""),
    )


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{dot.x},{dot.y}" for dot in dots)
