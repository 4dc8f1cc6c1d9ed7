"""Confirmation: the best rates beside equal ones, once more, where nobody searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tuning.evaluation.standard_error import standard_error


@dataclass(frozen=True, slots=True)
class Confirmation:
    """On windows that no search has seen, where the best of many draws flatters itself no more.

    Attributes:
        best: Mean loss of the best rates in nats.
        uniform: Of equal rates.
        difference: The former less the latter; negative is better.
        error: Its standard error over windows, in pairs; None of fewer than two.
        windows: How many.
    """

    best: float
    uniform: float
    difference: float
    error: float | None
    windows: int

    @property
    def is_better(self) -> bool:
        """Whether the difference is negative by more than two of its errors."""
        return self.error is not None and self.difference < -2 * self.error

    @property
    def is_worse(self) -> bool:
        """Whether it is positive by as much."""
        return self.error is not None and self.difference > 2 * self.error


def confirmed(best: Sequence[float], uniform: Sequence[float]) -> Confirmation:
    """Compare the losses of both, window by window."""
    differences = [one - other for one, other in zip(best, uniform, strict=True)]
    error = standard_error(differences)
    return Confirmation(fmean(best), fmean(uniform), fmean(differences), error, len(differences))
