"""Axis: values to positions in a picture, with round numbers to mark it by."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps ``low .. high`` to ``start .. end``, in the units of the picture."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> "Axis":
        """Span ``values`` with a little air on both sides."""
        known = list(values)
        low, high = min(known), max(known)
        air = 0.05 * (high - low) or 0.5
        return cls(low - air, high + air, start, end)

    def position(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, about: int = 4, *, whole: bool = False) -> tuple[tuple[float, str], ...]:
        """Round values within the axis, as position and label; ``whole``: of what is counted."""
        rough = max((self.high - self.low) / about, float(whole))
        magnitude = 10.0 ** math.floor(math.log10(rough))
        steps = [s * magnitude for s in STEPS if not whole or (s * magnitude).is_integer()]
        step = next(step for step in steps if step >= rough * (1 - 1e-9))
        digits = max(0, -math.floor(math.log10(step) + 1e-9) + (step / magnitude == 2.5))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        marks = [(at * step) for at in range(first, last + 1)]
        return tuple((self.position(mark), f"{mark + 0.0:,.{digits}f}") for mark in marks)
