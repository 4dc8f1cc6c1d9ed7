"""The held-out loss of a trial while it trained, one line for each attempt."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.web.pages.charts.axis import Axis

WIDTH, HEIGHT = 980.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 26.0, 38.0


@dataclass(frozen=True, slots=True)
class Line:
    """Attributes: the attempt, points of a polyline, and each of them with its caption."""

    attempt: int
    points: str
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """Attributes: lines, the last step and loss known, and the ticks of both axes."""

    lines: tuple[Line, ...]
    last: tuple[int, float]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def losses(attempts: Sequence[tuple[int, Sequence[tuple[float, float]]]]) -> Losses | None:
    """Plot what attempts told, as their numbers and pairs of step and loss; None of fewer than two.

    ``interim`` is ordered by step.
    """
    told = [(number, pairs) for number, pairs in attempts if pairs]
    every = [pair for _, pairs in told for pair in pairs]
    if len(every) < 2:
        return None
    x = Axis(0.0, max(step for step, _ in every), LEFT, WIDTH - RIGHT)
    y = Axis.around([loss for _, loss in every], HEIGHT - BOTTOM, TOP)
    lines = tuple(_line(number, pairs, x, y) for number, pairs in told)
    step, loss = told[-1][1][-1]
    return Losses(lines, (int(step), loss), x.ticks(6), y.ticks())


def _line(number: int, pairs: Sequence[tuple[float, float]], x: Axis, y: Axis) -> Line:
    dots = tuple(
        (x.position(step), y.position(loss), f"step {step:.0f}: {loss:.4f}") for step, loss in pairs
    )
    return Line(number, " ".join(f"{across},{up}" for across, up, _ in dots), dots)
