"""What a mean over documents or windows is uncertain by."""

import math
from collections.abc import Sequence
from statistics import stdev


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean of ``values``, by the sample deviation (n - 1).

    As lm-evaluation-harness has it (``mean_stderr``). None of fewer than two values.
    """
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
