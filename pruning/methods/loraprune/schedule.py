"""How many structures of a block are masked at which step."""

import math
from dataclasses import dataclass

from pruning.methods.selection import left_of

EDGE = 0.1
"""Share of the steps before anything is masked, and of those after everything is."""

_ROUNDING = 1e-9
"""A share of a whole number of structures is not to lose one to the last bit."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cubic rise from none to all that are to go, between a warm-up and a cool-down.

    Source: arXiv 2305.18403 and its code, whose last masking comes before the end of the rise, so
    that some stay that were to go; here the cool-down begins with all of them masked.

    Attributes:
        steps: Of the training, at least 1.
        every: Steps between two maskings.
    """

    steps: int
    every: int

    def share(self, step: int, rate: float) -> float:
        """Return ``s_f + (s_i - s_f) (1 - (t - t_w) / (T - t_w - t_c))^3`` at ``step``, from 0.

        ``s_i`` is 0 and ``s_f`` is ``rate``; 0 in the warm-up, ``rate`` in the cool-down.
        """
        begin, end = EDGE * self.steps, self.steps - EDGE * self.steps
        if step <= begin:
            return 0.0
        if step >= end:
            return rate
        left: float = (1.0 - (step - begin) / (end - begin)) ** 3
        return rate * (1.0 - left)

    def masks_at(self, step: int) -> bool:
        """Whether masks grow at ``step``, from 0."""
        return step == self.last or (step % self.every == 0 and 0.0 < self.share(step, 1.0) < 1.0)

    @property
    def last(self) -> int:
        """The step, from 0, at which all are masked: the first of the cool-down, if it has one."""
        return min(math.ceil(self.steps - EDGE * self.steps), self.steps - 1)

    def masked(self, step: int, count: int, rate: float) -> int:
        """Return how many of ``count`` structures are masked once masks have grown at ``step``.

        At the end as many as every method removes at this rate: the nearest whole number.
        """
        all_of_them = count - left_of(count, rate)
        if step >= self.last:
            return all_of_them
        return min(all_of_them, math.floor(count * self.share(step, rate) + _ROUNDING))
