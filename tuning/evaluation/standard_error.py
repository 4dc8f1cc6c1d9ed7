"""What a mean over documents or windows is uncertain by."""

import math
from collections.abc import Sequence
from statistics import stdev


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean of ``values``, by the sample deviation (n - 1).

    As lm-evaluation-harness has it (``mean_stderr``). None of fewer than two values.
    """
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def error_of_mean(errors: Sequence[float | None]) -> float | None:
    """Return the standard error of a plain mean of independent values; None if one is unknown."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(known) if errors and len(known) == len(errors) else None
