"""CFSP's mapping from the importance of blocks to rates."""

import math
from collections.abc import Mapping

from pruning.rates.rates import Rates, Sizes, overall, within

TOKENS = 128 * 1024
"""Of its authors' calibration text, over which they sum distances."""
SCALE = 1e4
"""What they divide such sums by."""
MARGIN = 1.05
"""How far, as a factor, they keep the largest share from being all of a block."""


def by_importance(
    ratio: float, sizes: Sizes, distances: Mapping[int, float], slope: float
) -> Rates:
    """Keep shares in proportion to ``sigmoid(slope (d_i - mean d))``, ``1 - ratio`` overall.

    ``d_i`` is the angular distance summed over tokens and divided by 10,000: CFSP (arXiv
    2409.13199) and its code. Here it is the mean over tokens times as many as its authors have, so
    that the rates do not hang on how much text there is. Where a share would pass 1, all are drawn
    towards the mean until the largest falls short of it by a 21st of the ratio, as there. Means are
    by size, so that the ratio is exact; of blocks of one size they are theirs.

    Raises:
        InvalidInput: A rate leaves 0 to 1, which this cannot.
    """
    middle = overall(distances, sizes)
    scale = slope * TOKENS / SCALE
    raw = {i: 1.0 / (1.0 + math.exp(-scale * (distances[i] - middle))) for i in sorted(sizes)}
    mean, kept = overall(raw, sizes), 1.0 - ratio
    shares = {index: kept * value / mean for index, value in raw.items()}
    most = max(shares.values())
    if most >= 1.0:
        factor = ratio / MARGIN / (most - kept)
        shares = {index: kept + factor * (share - kept) for index, share in shares.items()}
    return within({index: 1.0 - share for index, share in shares.items()})
