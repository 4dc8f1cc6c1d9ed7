"""The search so far: scores and the best of them, over trials or over hours of work."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.web.pages.charts.axis import Axis

WIDTH, HEIGHT = 980.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 26.0, 38.0

DOTS = 800
"""Trials drawn at most, evenly chosen; the line of the best so far knows them all."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial of the search that has a score, and the worker hours when it was accepted."""

    trial: int
    score: float
    hours: float


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial in the picture, and its caption."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores of the search in the order of acceptance.

    Attributes:
        dots: Trials.
        best: The running best, as points of a polyline.
        uniform: Height of uniform's score; None before it is known.
        band: Top and height of one deviation of a trial's noise on both sides of it; None before
            that is known.
        across: Ticks along trials or hours.
        up: Ticks of the score.
        title: What the axis across says.
    """

    dots: tuple[Dot, ...]
    best: str
    uniform: float | None
    band: tuple[float, float] | None
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    title: str


def curve(
    tried: Sequence[Tried], uniform: float | None, noise: float | None, *, by_hours: bool = False
) -> Curve | None:
    """Plot what was found so far, in the order of acceptance; None before there are two points."""
    if len(tried) < 2:
        return None
    reach = noise or 0.0
    level = [] if uniform is None else [uniform - reach, uniform + reach]
    y = Axis.around([*(one.score for one in tried), *level], HEIGHT - BOTTOM, TOP)
    places = [one.hours if by_hours else float(at) for at, one in enumerate(tried, 1)]
    x = Axis(0.0, max(places[-1], 1e-9), LEFT, WIDTH - RIGHT)
    shown = range(0, len(tried), len(tried) // DOTS + 1)
    return Curve(
        dots=tuple(_dot(tried[at], places[at], x, y) for at in shown),
        best=_steps(tried, places, x, y),
        uniform=None if uniform is None else y.position(uniform),
        band=_band(y, uniform, noise),
        across=x.ticks(6),
        up=y.ticks(),
        title="worker hours of the search" if by_hours else "trials of the search",
    )


def _band(y: Axis, uniform: float | None, noise: float | None) -> tuple[float, float] | None:
    if uniform is None or not noise:
        return None
    top = y.position(uniform + noise)
    return top, round(y.position(uniform - noise) - top, 1)


def _dot(one: Tried, place: float, x: Axis, y: Axis) -> Dot:
    label = f"trial {one.trial}: {one.score:.4f}"
    return Dot(x.position(place), y.position(one.score), label)


def _steps(tried: Sequence[Tried], places: Sequence[float], x: Axis, y: Axis) -> str:
    """The running best as points of a polyline, two for each trial that raised it."""
    best = tried[0].score
    points = [f"{x.position(places[0])},{y.position(best)}"]
    for one, place in zip(tried, places, strict=True):
        if one.score > best:
            across = x.position(place)
            points.append(f"{across},{y.position(best)}")
            best = one.score
            points.append(f"{across},{y.position(best)}")
    return " ".join([*points, f"{x.position(places[-1])},{y.position(best)}"])
